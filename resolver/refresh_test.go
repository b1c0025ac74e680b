package resolver

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// keepInUse looks the domain up every hour for so long and expects the same.
func keepInUse(t *testing.T, r *Resolver, domain, want string, d time.Duration) {
	t.Helper()
	for range d / time.Hour {
		expect(t, r, domain, want)
		time.Sleep(time.Hour)
	}
}

func TestPolicyInUseIsRefreshed(t *testing.T) {
	for _, tc := range []struct {
		name, maxAge string
		days         time.Duration
		least, most  int // fetches, the first included
	}{
		{"every day", "31557600", 12, 1 + 10, 1 + 14},
		{"half its life", "43200", 5, 1 + 18, 1 + 22}, // 6 h
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.publish("a.example", "1", policyText("enforce", tc.maxAge))
				r := w.resolver()
				keepInUse(t, r, "a.example", "enforce/1", tc.days*day)
				queries, fetches := w.asked("a.example")
				if fetches < tc.least || fetches > tc.most {
					t.Errorf("%d fetches in %d days, want %d to %d", fetches, tc.days, tc.least, tc.most)
				}
				if most := int(tc.days)*24 + fetches; queries > most { // each lookup's and each refresh's
					t.Errorf("%d TXT queries in %d days, want at most %d", queries, tc.days, most)
				}
				w.expectLogged("Policy", 1) // found; no refresh is news
			})
		})
	}
}

// Publishers forget to change the id. The refresh finds the new policy.
func TestRefreshFindsAPolicyChangedWithoutItsID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish("a.example", "1", policyText("enforce", "864000"))
		r := w.resolver()
		expect(t, r, "a.example", "enforce/1")
		w.publish("a.example", "1", policyText("testing", "864000"))
		keepInUse(t, r, "a.example", "enforce/1", 21*time.Hour)
		time.Sleep(6 * time.Hour)
		expect(t, r, "a.example", "testing/1")
		w.expectLogged("no longer enforced", 1)
	})
}

func TestDomainOutOfUseIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish("a.example", "1", policyText("enforce", "31557600"))
		r := w.resolver()
		expect(t, r, "a.example", "enforce/1")
		time.Sleep(18 * day)
		_, fetches := w.asked("a.example")
		if fetches < 1+12 || fetches > 1+17 {
			t.Errorf("%d fetches, want one a day for 14 days", fetches)
		}
		// Asked for again, it is refreshed again.
		expect(t, r, "a.example", "enforce/1")
		w.expectAsked("a.example", fetches+1, fetches+1)
		keepInUse(t, r, "a.example", "enforce/1", 5*day)
		if _, again := w.asked("a.example"); again < fetches+4 {
			t.Errorf("%d fetches in 5 days of use", again-fetches)
		}
	})
}

// The same holds if the daemon was restarted in between.
func TestDomainOutOfUseIsRefreshedAgainAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		st := w.memory()
		w.publish("a.example", "1", policyText("enforce", "31557600"))
		r := w.resolverWith(st)
		expect(t, r, "a.example", "enforce/1")
		time.Sleep(18 * day)
		r.Close()
		r = w.resolverWith(st)
		_, before := w.asked("a.example")
		keepInUse(t, r, "a.example", "enforce/1", 5*day)
		if _, after := w.asked("a.example"); after < before+4 {
			t.Errorf("%d fetches in 5 days of use", after-before)
		}
	})
}

// RFC 8461 section 10.2: a refresh does not need the record.
func TestRefreshWithoutRecord(t *testing.T) {
	for _, tc := range []struct {
		name   string
		txt    txtAnswer
		logged int
	}{
		{"record gone", txtAnswer{}, 1},
		{"record malformed", txtAnswer{records: []string{"v=STSv1; id=?"}}, 1},
		{"DNS fails", txtAnswer{err: errServfail}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.publish("a.example", "1", policyText("enforce", "259200"))
				r := w.resolver()
				expect(t, r, "a.example", "enforce/1")
				w.setTXT("a.example", tc.txt)
				keepInUse(t, r, "a.example", "enforce/1", 6*day) // twice its max_age
				w.expectLogged("Record gone", tc.logged)
				w.expectLogged("refreshed again", 0)
			})
		})
	}
}

func TestRefreshFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish("a.example", "1", policyText("enforce", "864000"))
		r := w.resolver()
		expect(t, r, "a.example", "enforce/1")
		w.setHost("a.example", hostAnswer{err: errRefused})
		keepInUse(t, r, "a.example", "enforce/1", 10*day)
		time.Sleep(time.Second)
		expect(t, r, "a.example", "-")
		w.expectLogged("cannot be refreshed", 1)
		// From day 1 on: 5, 10, 20 and 40 minutes apart, then hourly.
		if _, fetches := w.asked("a.example"); fetches < 205 || fetches > 235 {
			t.Errorf("%d fetches in 10 days", fetches)
		}
	})
}

func TestRefreshRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish("a.example", "1", policyText("enforce", "864000"))
		r := w.resolver()
		expect(t, r, "a.example", "enforce/1")
		w.setHost("a.example", hostAnswer{err: errRefused})
		keepInUse(t, r, "a.example", "enforce/1", 5*day)
		w.setHost("a.example", hostAnswer{text: policyText("enforce", "864000")})
		keepInUse(t, r, "a.example", "enforce/1", 9*day) // beyond the max_age of the first fetch
		w.expectLogged("cannot be refreshed", 1)
		w.expectLogged("can be refreshed again", 1)
	})
}

// A discovery of the same domain may end between the decision that one is due and its begin.
func TestDiscoveryThatIsNoLongerDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish("a.example", "1", policyText("enforce", "864000"))
		r := w.resolver()
		expect(t, r, "a.example", "enforce/1")
		for _, why := range []reason{recheck, scheduledRefresh} {
			a, err := r.discover(hop(t, "a.example"), why)
			if err != nil || a.Policy == nil {
				t.Errorf("reason %d: answer %v, error %v", why, a, err)
			}
		}
		w.expectAsked("a.example", 1, 1)
	})
}

func TestPolicyNoneIsNotRefreshed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish("a.example", "1", policyText("none", "864000"))
		r := w.resolver()
		expect(t, r, "a.example", "none/1")
		w.setHost("a.example", hostAnswer{err: errRefused})
		keepInUse(t, r, "a.example", "none/1", 10*day)
		_, fetches := w.asked("a.example")
		if fetches != 1 {
			t.Errorf("%d fetches, want 1", fetches)
		}
		w.expectLogged("cannot be refreshed", 0)
		w.publish("a.example", "2", policyText("enforce", "864000"))
		time.Sleep(time.Hour)
		expect(t, r, "a.example", "enforce/2")
	})
}

// The same holds if its successor cannot be fetched: only lookups start a
// discovery.
func TestSuccessorOfPolicyNoneIsNotChased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish("a.example", "1", policyText("none", "864000"))
		r := w.resolver()
		expect(t, r, "a.example", "none/1")
		w.publish("a.example", "2", "<html>")
		time.Sleep(time.Hour)
		expect(t, r, "a.example", "none/1")
		time.Sleep(5 * day)
		w.expectAsked("a.example", 2, 2)
	})
}

// Publishers change the record first. The policy follows within the hour.
func TestNewIDWithTheOldPolicyIsFollowedUp(t *testing.T) {
	for _, tc := range []struct {
		name     string
		late     time.Duration // from the record's change to the policy's
		followed time.Duration // from when the record's change was seen
	}{
		{"after minutes", 2 * time.Minute, 6 * time.Minute},
		{"within the hour", 30 * time.Minute, time.Hour + 2*time.Minute},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.publish("a.example", "1", policyText("enforce", "8640000"))
				r := w.resolver()
				expect(t, r, "a.example", "enforce/1")
				time.Sleep(time.Hour)
				w.publish("a.example", "2", policyText("enforce", "8640000"))
				expect(t, r, "a.example", "enforce/2")
				time.Sleep(tc.late)
				w.publish("a.example", "2", policyText("testing", "8640000"))
				expect(t, r, "a.example", "enforce/2")
				time.Sleep(tc.followed - tc.late)
				expect(t, r, "a.example", "testing/2")
			})
		})
	}
	t.Run("and then left", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.publish("a.example", "1", policyText("enforce", "8640000"))
			r := w.resolver()
			expect(t, r, "a.example", "enforce/1")
			time.Sleep(time.Hour)
			w.publish("a.example", "2", policyText("enforce", "8640000"))
			keepInUse(t, r, "a.example", "enforce/2", 20*time.Hour)
			if _, fetches := w.asked("a.example"); fetches != 2+2 {
				t.Errorf("%d fetches, want the two and two that follow up", fetches)
			}
		})
	})
}

func TestPolicyThatMatchesNoMX(t *testing.T) {
	for _, tc := range []struct {
		mode, mx string
		logged   int
	}{
		{"enforce", "mx.example", 0},
		{"enforce", "MX.example", 0},
		{"enforce", "other.example", 1},
		{"enforce", "", 0}, // the null MX: no mail
		{"testing", "other.example", 0},
		{"none", "other.example", 0},
	} {
		t.Run(tc.mode+" "+tc.mx, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.publish("a.example", "1", policyText(tc.mode, "864000"))
				w.mx["a.example"] = tc.mx
				r := w.resolver()
				keepInUse(t, r, "a.example", tc.mode+"/1", 5*day)
				w.expectLogged("matches none of its domain's MX hosts", tc.logged)
			})
		})
	}
}

// Thousands of policies that were fetched together are not refreshed together.
func TestRefreshesAreSpreadAndBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.resolver()
		s := *r.settings.Load()
		s.Entries, s.Concurrency = 2000, 4
		r.Configure(s)
		const domains = 1000
		for i := range domains {
			d := fmt.Sprintf("d%d.example", i)
			w.publish(d, "1", policyText("enforce", "864000"))
			expect(t, r, d, "enforce/1")
		}
		refreshes := func() int {
			w.mu.Lock()
			defer w.mu.Unlock()
			total := -domains
			for _, n := range w.fetches {
				total += n
			}
			return total
		}
		time.Sleep(21 * time.Hour)
		if n := refreshes(); n != 0 {
			t.Errorf("%d refreshes within 21 h", n)
		}
		time.Sleep(3 * time.Hour)
		if n := refreshes(); n < domains*2/5 || n > domains*3/5 {
			t.Errorf("%d of %d refreshes within a day, want about half", n, domains)
		}
		time.Sleep(3 * time.Hour)
		if n := refreshes(); n != domains {
			t.Errorf("%d of %d refreshes within 27 h", n, domains)
		}
	})
}
