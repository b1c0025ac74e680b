package resolver

import (
	"testing"
	"testing/synctest"
	"time"

	"mta-sts-daemon/resolver/dane"
)

const day = 24 * time.Hour

func TestPolicyLivesForItsMaxAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish("a.example", "1", policyText("enforce", "864000"))
		r := w.resolver()
		expect(t, r, "a.example", "enforce/1")
		// From now on nothing can be learned of it.
		w.setTXT("a.example", txtAnswer{err: errServfail})
		w.setHost("a.example", hostAnswer{err: errRefused})
		time.Sleep(10*day - time.Nanosecond)
		expect(t, r, "a.example", "enforce/1")
		w.expectLogged("Policy expired", 0)
		time.Sleep(time.Nanosecond)
		expect(t, r, "a.example", "-")
		time.Sleep(time.Hour)
		expect(t, r, "a.example", "-")
		w.expectLogged("Policy expired", 1)
	})
}

func TestRecordGoneLeavesThePolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish("a.example", "1", policyText("enforce", "864000"))
		r := w.resolver()
		expect(t, r, "a.example", "enforce/1")
		w.setTXT("a.example", txtAnswer{})
		for range 9 {
			time.Sleep(day)
			expect(t, r, "a.example", "enforce/1")
		}
		w.expectLogged("Record gone", 1)
		w.publish("a.example", "1", policyText("enforce", "864000"))
		time.Sleep(time.Hour)
		expect(t, r, "a.example", "enforce/1")
		w.expectLogged("can be refreshed again", 1)
	})
}

func TestNewIDIsNoticedAfterTheTTL(t *testing.T) {
	for _, tc := range []struct {
		name      string
		ttl, life time.Duration
	}{
		{"short TTL", time.Second, time.Minute},
		{"TTL", 5 * time.Minute, 5 * time.Minute},
		{"long TTL", day, time.Hour},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.publish("a.example", "1", policyText("enforce", "864000"))
				w.setTXT("a.example", txtAnswer{records: []string{"v=STSv1; id=1"}, ttl: tc.ttl})
				r := w.resolver()
				expect(t, r, "a.example", "enforce/1")
				w.publish("a.example", "2", policyText("testing", "864000"))
				time.Sleep(tc.life - time.Nanosecond)
				expect(t, r, "a.example", "enforce/1")
				w.expectAsked("a.example", 1, 1)
				time.Sleep(time.Nanosecond)
				expect(t, r, "a.example", "testing/2")
				w.expectAsked("a.example", 2, 2)
				w.expectLogged("no longer enforced", 1)
			})
		})
	}
}

func TestSameIDIsNotFetchedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish("a.example", "1", policyText("enforce", "864000"))
		r := w.resolver()
		for range 10 {
			expect(t, r, "a.example", "enforce/1")
			time.Sleep(5 * time.Minute)
		}
		w.expectAsked("a.example", 10, 1)
	})
}

func TestRecheckWaitsBriefly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish("a.example", "1", policyText("enforce", "864000"))
		r := w.resolver()
		expect(t, r, "a.example", "enforce/1")

		// The new policy takes longer than a lookup waits, and is there for the next.
		w.publish("a.example", "2", "")
		w.setHost("a.example", hostAnswer{text: policyText("enforce", "86400"), delay: 2 * time.Second})
		time.Sleep(5 * time.Minute)
		if mode, took := lookUp(t, r, "a.example"); mode != "enforce/1" || took != 500*time.Millisecond {
			t.Errorf("%s after %v, want the old policy after recheck_wait", mode, took)
		}
		if mode, took := lookUp(t, r, "a.example"); mode != "enforce/1" || took != 0 {
			t.Errorf("%s after %v, want the old policy at once", mode, took)
		}
		time.Sleep(2 * time.Second)
		expect(t, r, "a.example", "enforce/2")
		w.expectLogged("Policy changed", 1)
	})
}

// answer_timeout may be the shorter one.
func TestRecheckWaitsNoLongerThanAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish("a.example", "1", policyText("enforce", "864000"))
		c := &checker{verdict: dane.Verdict{Kind: dane.None, TTL: time.Hour}}
		r := w.resolverWithDANE(w.memory(), c)
		s := *r.settings.Load()
		s.AnswerTimeout = 100 * time.Millisecond
		r.Configure(s)
		expect(t, r, "a.example", "enforce/1")

		w.setTXT("a.example", txtAnswer{err: errServfail, delay: time.Hour})
		time.Sleep(10 * time.Minute)
		if _, took := lookUp(t, r, "a.example"); took != s.AnswerTimeout {
			t.Errorf("the record was waited for for %v", took)
		}
		c.delay = time.Hour
		time.Sleep(time.Hour)
		if _, took := lookUp(t, r, "a.example"); took != s.AnswerTimeout {
			t.Errorf("DANE was waited for for %v", took)
		}
	})
}

// While the resolver fails, one lookup in 30 s waits for it.
func TestRecheckWhileTheDNSFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish("a.example", "1", policyText("enforce", "864000"))
		r := w.resolver()
		expect(t, r, "a.example", "enforce/1")
		w.setTXT("a.example", txtAnswer{err: errServfail, delay: 5 * time.Second})
		time.Sleep(5 * time.Minute)
		waited := 0
		for start := time.Now(); time.Since(start) < 5*time.Minute; time.Sleep(time.Second) {
			mode, took := lookUp(t, r, "a.example")
			if mode != "enforce/1" {
				t.Fatalf("%s", mode)
			}
			if took > 0 {
				waited++
			}
		}
		if waited < 8 || waited > 10 {
			t.Errorf("%d lookups in 5 min waited, want one in 30 s", waited)
		}
		if queries, _ := w.asked("a.example"); queries > 11 {
			t.Errorf("%d queries in 5 min", queries)
		}
	})
}

// So it is for all domains together, and over as soon as the resolver answers.
func TestRechecksWhileTheDNSIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.resolver()
		domains := []string{"a.example", "b.example", "c.example", "d.example"}
		for _, d := range domains {
			w.publish(d, "1", policyText("enforce", "864000"))
			expect(t, r, d, "enforce/1")
			w.setTXT(d, txtAnswer{err: errServfail, delay: 5 * time.Second})
		}
		time.Sleep(5 * time.Minute)
		waited := 0
		for start := time.Now(); time.Since(start) < 5*time.Minute; time.Sleep(time.Second) {
			for _, d := range domains {
				if _, took := lookUp(t, r, d); took > 0 {
					waited++
				}
			}
		}
		if waited > 10 {
			t.Errorf("%d lookups in 5 min waited, want one in 30 s at most", waited)
		}
		for _, d := range domains {
			w.publish(d, "2", policyText("enforce", "86400"))
		}
		time.Sleep(time.Minute)
		lookUp(t, r, "a.example") // this one may not have waited
		time.Sleep(time.Second)
		for _, d := range domains {
			expect(t, r, d, "enforce/2")
		}
	})
}

// A slow domain is not an outage: lookups of other domains still wait for their
// rechecks.
func TestRecheckBesideASlowDomain(t *testing.T) {
	for _, tc := range []struct {
		name string
		slow func(w *world)
	}{
		{"policy host", func(w *world) {
			w.publish("slow.example", "2", "")
			w.setHost("slow.example", hostAnswer{delay: time.Minute})
		}},
		{"name servers", func(w *world) { w.setTXT("slow.example", txtAnswer{err: errServfail, delay: 5 * time.Second}) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				r := w.resolver()
				for _, d := range []string{"slow.example", "a.example"} {
					w.publish(d, "1", policyText("enforce", "864000"))
					expect(t, r, d, "enforce/1")
				}
				tc.slow(w)
				w.publish("a.example", "2", policyText("testing", "864000"))
				time.Sleep(5 * time.Minute)
				go expect(t, r, "slow.example", "enforce/1")
				time.Sleep(100 * time.Millisecond)
				lookUp(t, r, "other.example") // the DNS answers
				time.Sleep(time.Second)
				expect(t, r, "a.example", "testing/2")
			})
		})
	}
}

func TestNewPolicyCannotBeFetched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish("a.example", "1", policyText("enforce", "864000"))
		r := w.resolver()
		expect(t, r, "a.example", "enforce/1")
		w.publish("a.example", "2", "<html>")
		time.Sleep(5 * time.Minute)
		for range 60 {
			expect(t, r, "a.example", "enforce/1")
			time.Sleep(time.Minute)
		}
		// At once, after 5, 10 and 20 minutes.
		if _, fetches := w.asked("a.example"); fetches != 1+4 {
			t.Errorf("%d fetches in an hour, want 4 beside the first", fetches)
		}
		w.expectLogged("cannot be refreshed", 1)
		w.publish("a.example", "2", policyText("enforce", "86400"))
		time.Sleep(time.Hour)
		expect(t, r, "a.example", "enforce/2")
		w.expectLogged("can be refreshed again", 1)
	})
}

func TestPolicyThatIsNotToBeKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish("a.example", "1", policyText("enforce", "864000"))
		r := w.resolver()
		expect(t, r, "a.example", "enforce/1")
		w.publish("a.example", "2", policyText("enforce", "0"))
		time.Sleep(5 * time.Minute)
		expect(t, r, "a.example", "enforce/") // for the lookup that waits; its id is not kept
		w.setTXT("a.example", txtAnswer{err: errServfail})
		expect(t, r, "a.example", "-") // and nothing is left behind
	})
}

// A policy that comes back unchanged after its end is reported: the end was.
func TestPolicyComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish("a.example", "1", policyText("enforce", "86400"))
		r := w.resolver()
		expect(t, r, "a.example", "enforce/1")
		s := *r.settings.Load()
		s.Idle = time.Hour // it is not refreshed
		r.Configure(s)
		time.Sleep(2 * day)
		w.setHost("a.example", hostAnswer{err: errRefused})
		expect(t, r, "a.example", "-")
		w.expectLogged("Policy expired", 1)
		w.setHost("a.example", hostAnswer{text: policyText("enforce", "86400")})
		time.Sleep(time.Hour)
		expect(t, r, "a.example", "enforce/1")
		w.expectLogged("Policy can be refreshed again", 1)
		time.Sleep(6 * time.Minute)
		expect(t, r, "a.example", "enforce/1")
		w.expectLogged("Policy can be refreshed again", 1)
	})
}

// A policy that ends while a fetch hangs that this host's own network makes fail: lookups do not
// fetch at once again.
func TestPolicyEndsDuringARefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish("a.example", "1", policyText("enforce", "3600"))
		r := w.resolver()
		expect(t, r, "a.example", "enforce/1")
		w.setHost("a.example", hostAnswer{err: errNoRoute, delay: 10 * time.Second})
		time.Sleep(time.Hour - 5*time.Second)
		go r.Refresh(t.Context(), hop(t, "a.example").Domain)
		time.Sleep(15 * time.Second)
		w.expectWithoutFetch(r, "a.example", "-")
	})
}
