package resolver

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/store"
)

// A policy is the same after a restart.
func TestRestartKeepsPolicies(t *testing.T) {
	for _, mode := range []string{"enforce", "testing", "none"} {
		t.Run(mode, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				st := w.memory()
				w.publish("a.example", "1", policyText(mode, "864000"))
				first := w.resolverWith(st)
				expect(t, first, "a.example", mode+"/1")
				time.Sleep(2 * time.Minute)
				first.Close()

				w.setTXT("a.example", txtAnswer{err: errServfail})
				w.setHost("a.example", hostAnswer{err: errRefused})
				second := w.resolverWith(st)
				expect(t, second, "a.example", mode+"/1")
				w.expectAsked("a.example", 1, 1) // the record's TTL has not passed
				time.Sleep(10*day - 2*time.Minute - time.Second)
				expect(t, second, "a.example", mode+"/1")
				time.Sleep(2 * time.Second) // the file has whole seconds
				expect(t, second, "a.example", "-")
			})
		})
	}
}

// A policy that ended while no daemon ran is known from the store alone.
func TestRestartTellsWhatExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		st := w.memory()
		w.publish("a.example", "1", policyText("enforce", "864000"))
		first := w.resolverWith(st)
		expect(t, first, "a.example", "enforce/1")
		first.Close()
		w.setTXT("a.example", txtAnswer{})
		time.Sleep(11 * day)
		second := w.resolverWith(st)
		for range 2 {
			expect(t, second, "a.example", "-")
			time.Sleep(2 * time.Hour)
		}
		w.expectLogged("Policy expired", 1)
	})
}

func TestRestartKeepsTheBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		st := w.memory()
		w.publish("a.example", "1", policyText("enforce", "864000"))
		r := w.resolverWith(st)
		expect(t, r, "a.example", "enforce/1")
		w.setHost("a.example", hostAnswer{err: errRefused})
		keepInUse(t, r, "a.example", "enforce/1", 3*day)
		_, fetches := w.asked("a.example")
		for range 20 { // a crash loop
			r.Close()
			r = w.resolverWith(st)
			expect(t, r, "a.example", "enforce/1")
			time.Sleep(time.Second)
		}
		if _, again := w.asked("a.example"); again > fetches+1 {
			t.Errorf("%d fetches in 20 s", again-fetches)
		}
		w.expectLogged("cannot be refreshed", 1)
	})
}

// A policy that the LRU has evicted is loaded from the store.
func TestEvictedPolicyComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.resolver() // room for 4
		domains := []string{"a.example", "b.example", "c.example", "d.example", "e.example", "f.example", "g.example", "h.example"}
		for _, d := range domains {
			w.publish(d, "1", policyText("enforce", "864000"))
			expect(t, r, d, "enforce/1")
		}
		// A new id, and the record's next check, are not forgotten by eviction either.
		time.Sleep(5 * time.Minute)
		for range 3 {
			for _, d := range domains {
				expect(t, r, d, "enforce/1")
			}
		}
		for _, d := range domains {
			w.expectAsked(d, 2, 1)
		}
		if n := w.inMemory(); n != 4 {
			t.Errorf("%d policies in memory, want 4", n)
		}
	})
}

func TestReplacedPolicyDoesNotComeBack(t *testing.T) {
	for _, successor := range []struct{ name, text, want string }{
		{"none", policyText("none", "864000"), "none/2"},
		{"not to be kept", policyText("testing", "0"), "-"},
	} {
		t.Run(successor.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				st := w.memory()
				w.publish("a.example", "1", policyText("enforce", "864000"))
				r := w.resolverWith(st)
				expect(t, r, "a.example", "enforce/1")
				w.publish("a.example", "2", successor.text)
				time.Sleep(5 * time.Minute)
				lookUp(t, r, "a.example")
				r.Close()
				w.setTXT("a.example", txtAnswer{err: errServfail})
				expect(t, w.resolverWith(st), "a.example", successor.want)
			})
		})
	}
}

func TestExpiredPolicyLeavesTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		st := w.memory()
		w.publish("a.example", "1", policyText("enforce", "86400"))
		r := w.resolverWith(st)
		expect(t, r, "a.example", "enforce/1")
		w.setTXT("a.example", txtAnswer{})
		w.setHost("a.example", hostAnswer{err: errRefused})
		a := hop(t, "a.example").Domain
		time.Sleep(31*day - time.Minute)
		if _, ok := st.Get(a); !ok {
			t.Error("gone before its time")
		}
		time.Sleep(2 * time.Minute)
		if _, ok := st.Get(a); ok {
			t.Error("still there 30 days after its end")
		}
	})
}

// A wrong wall clock, then or now, neither ends a policy before its time nor
// lets it live much longer.
func TestStoreWrittenByAWrongClock(t *testing.T) {
	for _, tc := range []struct {
		name    string
		fetched time.Duration // from now
		left    time.Duration // of its ten days
	}{
		{"right", -2 * day, 8 * day},
		{"a little ahead", 4 * time.Minute, 10*day + 4*time.Minute},
		{"a day ahead", day, 10 * day},
		{"a year ahead", 366 * day, 10 * day},
		{"long ago", -366 * day, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.setTXT("a.example", txtAnswer{err: errServfail})
				w.setHost("a.example", hostAnswer{err: errRefused})
				p, err := mtasts.ParsePolicy(policyText("enforce", "864000"))
				if err != nil {
					t.Fatal(err)
				}
				st := w.memory()
				then := time.Now().Add(tc.fetched)
				moment := w.moment(then)
				st.Put(store.Entry{Domain: hop(t, "a.example").Domain, ID: "1", Policy: p,
					Fetched: store.Fetched{Wall: then}, Recheck: moment, Used: moment, Next: moment.Add(day)})
				r := w.resolverWith(st)
				if tc.left > 0 {
					expect(t, r, "a.example", "enforce/1")
					time.Sleep(tc.left - time.Minute)
					expect(t, r, "a.example", "enforce/1")
					if s, _ := st.Get(hop(t, "a.example").Domain); !s.Fetched.Wall.Equal(then) {
						t.Errorf("its fetch of %v was saved as of %v", then, s.Fetched)
					}
				}
				time.Sleep(2 * time.Minute)
				expect(t, r, "a.example", "-")
			})
		})
	}
}

// Nor does it delay the next recheck for long.
func TestStoreOfAClockFarAhead(t *testing.T) {
	for _, years := range []int{1, 400} {
		t.Run(strconv.Itoa(years), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.setTXT("a.example", txtAnswer{records: []string{"v=STSv1; id=1"}, ttl: day})
				w.setHost("a.example", hostAnswer{text: policyText("enforce", "864000")})
				p, err := mtasts.ParsePolicy(policyText("enforce", "864000"))
				if err != nil {
					t.Fatal(err)
				}
				st := w.memory()
				wall := time.Now().AddDate(years, 0, 1)
				then := w.moment(wall)
				st.Put(store.Entry{Domain: hop(t, "a.example").Domain, ID: "1", Policy: p,
					Fetched: store.Fetched{Wall: wall}, Recheck: then, Used: then, Next: then, FailedID: "1", Failures: 1, RetryAt: then,
					Verdicts: []store.Verdict{{MX: true, Port: 25, Kind: uint8(dane.Full), Until: then}}})
				c := &checker{err: errServfail}
				r := w.resolverWithDANE(st, c)
				time.Sleep(time.Minute)
				expectDANE(t, r, "a.example", dane.Full, 0)
				w.expectAsked("a.example", 0, 0)
				time.Sleep(time.Hour)
				expectDANE(t, r, "a.example", dane.Full, 0)
				w.expectAsked("a.example", 1, 0) // the policy is not due
				time.Sleep(day)
				if _, _, err := lookUpDANE(t, r, hop(t, "a.example")); !errors.Is(err, ErrDANEUnknown) {
					t.Errorf("DANE, a day after the verdict's end: %v", err)
				}
				time.Sleep(6 * time.Hour)
				if k, _ := r.Known(hop(t, "a.example").Domain); !k.Fetched.After(time.Now().Add(-day)) || k.Fetched.After(time.Now()) {
					t.Errorf("it was not fetched again: %+v", k)
				}
			})
		})
	}
}

// A corrupt policy file is replaced, and the policies in memory are written to
// the new one.
func TestDamagedFileIsFilledFromMemory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policies.db")
	st, err := store.Open(path, clock.System(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	w := newWorld(t)
	w.publish("a.example", "1", policyText("enforce", "864000"))
	r := w.resolverWith(st)
	expect(t, r, "a.example", "enforce/1")
	if err := st.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 100); err != nil {
		t.Fatal(err)
	}
	a := hop(t, "a.example").Domain
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, ok := st.Get(a); ok && st.Flush() == nil {
			if info, err := os.Stat(path); err == nil && info.Size() > 100 {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("the new file has not got the policy")
		}
	}
}

// The results of rechecks are written when the resolver closes, not at each
// lookup.
func TestCloseWritesWhatOnlyMemoryKnows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		st := w.memory()
		w.publish("a.example", "1", policyText("enforce", "864000"))
		r := w.resolverWith(st)
		expect(t, r, "a.example", "enforce/1")
		d := hop(t, "a.example").Domain
		before, _ := st.Get(d)
		time.Sleep(2 * time.Hour)
		expect(t, r, "a.example", "enforce/1")
		if now, _ := st.Get(d); now.Recheck != before.Recheck || now.Used != before.Used {
			t.Errorf("a lookup wrote %+v in place of %+v", now, before)
		}
		r.Close()
		if now, _ := st.Get(d); now.Recheck <= w.moment(time.Now()) || now.Used < before.Used.Add(time.Hour) {
			t.Errorf("saved: recheck %v, used %v", now.Recheck, now.Used)
		}
	})
}

// The longest policies, of domains without end, take the memory of as many as
// have the usual length. None is forgotten.
func TestLongPoliciesShareMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const domains, entries = 20, 16
		long := policyText("enforce", "864000") + "x: " + strings.Repeat("y", 8<<10) + "\n"
		w := newWorld(t)
		r := w.resolver()
		s := *r.settings.Load()
		s.Entries = entries
		r.Configure(s)
		name := func(i int) string { return fmt.Sprintf("x%d.example", i) }
		for i := range domains {
			w.publish(name(i), "1", long)
			expect(t, r, name(i), "enforce/1")
			expect(t, r, name(0), "enforce/1")
		}
		if n, most := w.inMemory(), entries*2<<10/len(long); n > most || n < 2 {
			t.Errorf("%d policies in memory, want %d at most", n, most)
		}
		for i := range domains {
			expect(t, r, name(i), "enforce/1")
			w.expectAsked(name(i), 1, 1)
		}
	})
}
