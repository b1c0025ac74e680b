package policies

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"mta-sts-daemon/resolver/mtasts"
)

// A policy that a caller got before a purge, from another node for example, does not come back
// after it.
func TestPutIfNewerAfterAPurge(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		d := domain(t, "a.example")
		f := fetch(t, "1", "enforce", 864000)
		fetched := b.Put(d, f).Fetched()
		b.NotePurge(d)
		b.Forget(d, func(*Entry) bool { return true })
		if e := b.PutIfNewer(d, f, fetched); e != nil {
			t.Errorf("the purged policy is back: id %s", e.ID())
		}
		f.Noted = b.Asked().Noted
		b.NotePurge(domain(t, "b.example"))
		if e := b.PutIfNewer(d, f, fetched); e == nil {
			t.Error("a policy of after the purge is refused")
		}
	})
}

func TestForgetAll(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		var domains []mtasts.Domain
		defer func() {
			if c := b.Counts(); c.Mismatched != 5 {
				t.Errorf("%d mismatched are left, want 5", c.Mismatched)
			}
		}()
		for i := range 10 {
			d := domain(t, fmt.Sprintf("d%d.example", i))
			domains = append(domains, d)
			f := fetch(t, "1", "enforce", 864000)
			f.Purges = uint64(i % 2)
			b.Put(d, f)
			b.JudgeMX(d, []string{"other.example"}, b.clock.Now())
		}
		if n := b.ForgetAll(1); n != 5 {
			t.Errorf("%d forgotten, want 5", n)
		}
		for i, d := range domains {
			b.wantID(t, d, []string{"", "1"}[i%2])
		}
		old := fetch(t, "1", "enforce", 864000)
		b.PutIfNewer(domains[0], old, time.Now())
		b.wantID(t, domains[0], "") // it is of before the purge
		restarted := New(Options{Clock: b.clock, Store: b.st, Verdicts: b.verdicts, Limits: limits(), Logger: b.logger})
		if e := restarted.PutIfNewer(domains[0], old, time.Now()); e != nil {
			t.Error("after a restart it is back")
		}
	})
}

// A fetch that began before a purge changes and reports nothing, whatever came since.
func TestVoidFetchReportsNothing(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		d := domain(t, "a.example")
		b.NotePurge(d)
		f := fetch(t, "2", "enforce", 864000)
		f.Noted = b.Asked().Noted
		b.Put(d, f)
		logged := b.log.String()
		b.Put(d, fetch(t, "1", "testing", 864000))
		b.wantID(t, d, "2")
		if got := b.log.String(); got != logged {
			t.Errorf("logged: %s", got[len(logged):])
		}
	})
}

// A purge of everything that is carried out after a later one takes nothing of that back.
func TestPurgesOutOfOrder(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		d := domain(t, "a.example")
		f := fetch(t, "1", "enforce", 864000)
		f.Purges = 1
		b.ForgetAll(2)
		b.ForgetAll(1)
		b.Put(d, f)
		b.wantID(t, d, "")
	})
}

// A purge of everything and a policy that it voids may come at the same time: one just fetched, or
// one that memory takes from the file.
func TestPurgeComesWithPolicy(t *testing.T) {
	for name, at := range map[string]func(b *bench, d mtasts.Domain, f Fetch) (during func()){
		"fetched": func(b *bench, d mtasts.Domain, f Fetch) func() { return func() { b.Put(d, f) } },
		"loaded": func(b *bench, d mtasts.Domain, f Fetch) func() {
			b.Put(d, f)
			b.policies.remove(d)
			return func() { b.Get(d) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, limits())
			d := domain(t, "a.example")
			for i := range 2_000 {
				f := fetch(t, "1", "enforce", 864000)
				f.Purges = uint64(i)
				during := at(b, d, f)
				var both sync.WaitGroup
				both.Go(during)
				both.Go(func() { b.ForgetAll(f.Purges + 1) })
				both.Wait()
				if e := b.Live(d, b.clock.Now()); e != nil {
					t.Fatalf("purge %d left the policy in memory", i+1)
				}
			}
		})
	}
}
