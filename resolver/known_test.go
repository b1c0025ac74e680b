package resolver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		start := time.Now()
		w.publish("a.example", "1", policyText("enforce", "864000"))
		r := w.resolver()
		expect(t, r, "a.example", "enforce/1")
		expect(t, r, "none.example", "-")

		k, ok := r.Known(hop(t, "a.example").Domain)
		if !ok || k.Policy == nil || k.ID != "1" || !k.Fetched.Equal(start) || !k.Expires.Equal(start.Add(10*day)) ||
			!k.Recheck.Equal(start.Add(5*time.Minute)) || k.Failure != nil {
			t.Errorf("got %+v, %v", k, ok)
		}
		if due := k.Refresh.Sub(start); due < 21*time.Hour || due > 27*time.Hour {
			t.Errorf("refresh after %v", due)
		}
		if k, ok := r.Known(hop(t, "none.example").Domain); !ok || k.Policy != nil || !k.Expires.Equal(start.Add(time.Minute)) {
			t.Errorf("without a policy: %+v, %v", k, ok)
		}
		if k, ok := r.Known(hop(t, "unheard.example").Domain); ok {
			t.Errorf("never looked up: %+v", k)
		}
		if n := r.PolicyCount(); n != 1 {
			t.Errorf("%d policies", n)
		}

		w.setHost("a.example", hostAnswer{err: errRefused})
		time.Sleep(28 * time.Hour)
		if k, _ := r.Known(hop(t, "a.example").Domain); k.Failure == nil || k.Failure.Count == 0 || k.Failure.ID != "1" {
			t.Errorf("after failures: %+v", k)
		}
	})
}

// More policies than memory holds.
func TestPolicies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.resolver()
		want := []string{"a.example", "b.example", "c.example", "d.example", "e.example", "f.example"}
		for _, d := range want {
			w.publish(d, "1", policyText("testing", "864000"))
			expect(t, r, d, "testing/1")
		}
		var got []string
		for k := range r.Policies {
			got = append(got, k.Domain.String())
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("got %v", got)
		}
		for range r.Policies {
			break
		}
	})
}

func TestRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish("a.example", "1", policyText("enforce", "864000"))
		r := w.resolver()
		d := hop(t, "a.example").Domain
		if err := r.Refresh(t.Context(), d); err != nil { // an unknown domain
			t.Error(err)
		}
		w.publish("a.example", "1", policyText("testing", "864000"))
		expect(t, r, "a.example", "enforce/1")
		if err := r.Refresh(t.Context(), d); err != nil {
			t.Error(err)
		}
		expect(t, r, "a.example", "testing/1")

		w.setHost("a.example", hostAnswer{err: errRefused})
		for range 2 { // an operator need not wait five minutes
			if err := r.Refresh(t.Context(), d); !errors.Is(err, errRefused) {
				t.Errorf("host down: %v", err)
			}
		}
		w.expectAsked("a.example", 4, 4)
		expect(t, r, "a.example", "testing/1")
		w.setTXT("a.example", txtAnswer{err: errServfail})
		w.setHost("a.example", hostAnswer{text: policyText("none", "864000")})
		if err := r.Refresh(t.Context(), d); err != nil {
			t.Errorf("without DNS: %v", err)
		}
		expect(t, r, "a.example", "none/1")
		if err := r.Refresh(t.Context(), hop(t, "b.example").Domain); err == nil {
			t.Error("no record, and no error")
		}
	})
}

// A recheck under way fetches nothing; a refresh does, after it.
func TestRefreshBesideARecheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish("a.example", "1", policyText("enforce", "864000"))
		r := w.resolver()
		expect(t, r, "a.example", "enforce/1")
		time.Sleep(time.Hour)
		w.setTXT("a.example", txtAnswer{records: []string{"v=STSv1; id=1;"}, ttl: time.Hour, delay: 2 * time.Second})
		expect(t, r, "a.example", "enforce/1") // waits half a second
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errRefused)
		defer cancel()
		if err := r.Refresh(ctx, hop(t, "a.example").Domain); !errors.Is(err, errRefused) {
			t.Errorf("given up: %v", err)
		}
		if err := r.Refresh(t.Context(), hop(t, "a.example").Domain); err != nil {
			t.Error(err)
		}
		w.expectAsked("a.example", 3, 2)
	})
}

func TestPurge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.resolver()
		domains := []string{"a.example", "b.example", "c.example", "d.example", "e.example", "f.example"}
		for _, d := range domains {
			w.publish(d, "1", policyText("testing", "864000"))
			expect(t, r, d, "testing/1")
		}
		expect(t, r, "none.example", "-")
		for _, d := range []string{"a.example", "none.example", "unheard.example"} {
			if err := r.Purge(t.Context(), hop(t, d).Domain); err != nil {
				t.Error(err)
			}
			if k, ok := r.Known(hop(t, d).Domain); ok {
				t.Errorf("%s is still known: %+v", d, k)
			}
		}
		if n := r.PolicyCount(); n != len(domains)-1 {
			t.Errorf("%d policies", n)
		}
		expect(t, r, "a.example", "testing/1")
		w.expectAsked("a.example", 2, 2)

		if n, err := r.PurgeAll(t.Context()); err != nil || n != len(domains) {
			t.Error(err)
		}
		if n := r.PolicyCount(); n != 0 {
			t.Errorf("%d policies after all were purged", n)
		}
		expect(t, r, "f.example", "testing/1")
		w.expectAsked("f.example", 2, 2)
	})
}

// A domain stays broken, with its lookups counted, until a discovery finds otherwise; a
// policy is failing until a refresh succeeds.
func TestTroubleStaysKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.resolver()
		broken := func() (found []string) {
			for k := range r.Broken {
				found = append(found, fmt.Sprintf("%v %s %s, %d lookups", k.Domain, k.State, k.Failure.Word, k.Failure.Lookups))
			}
			return found
		}
		w.publish("a.example", "1", policyText("enforce", "864000"))
		w.setHost("a.example", hostAnswer{err: errRefused})
		expect(t, r, "a.example", "-")
		expect(t, r, "a.example", "-")
		want := []string{"a.example broken sts-policy-fetch-error, 2 lookups"}
		for _, wait := range []time.Duration{0, time.Minute, 20 * time.Minute} {
			time.Sleep(wait)
			if got := broken(); !slices.Equal(got, want) {
				t.Errorf("%v later: %q, want %q", wait, got, want)
			}
		}
		w.setHost("a.example", hostAnswer{text: policyText("enforce", "864000")})
		expect(t, r, "a.example", "enforce/1")
		if got := broken(); got != nil {
			t.Errorf("with a policy: %q", got)
		}
		w.setHost("a.example", hostAnswer{err: errRefused})
		for range 3 {
			time.Sleep(12 * time.Hour)
			expect(t, r, "a.example", "enforce/1")
		}
		if k, _ := r.Known(hop(t, "a.example").Domain); !k.Failing {
			t.Errorf("its refresh fails: %+v", k)
		}
	})
}
