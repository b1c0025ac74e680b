package resolver

import (
	"reflect"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/store"
)

// A machine without a clock of its own begins with a wrong one. What is fetched once
// that is set is written down by the right one.
func TestClockSetAfterTheStart(t *testing.T) {
	for name, wrong := range map[string]time.Duration{"behind": -30 * day, "ahead": 30 * day} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				st := store.OpenMemory()
				w.setClock(wrong)
				first := w.resolverWith(st)
				w.setClock(-wrong)
				w.publish("a.example", "1", policyText("enforce", "864000"))
				expect(t, first, "a.example", "enforce/1")
				k, _ := first.Known(hop(t, "a.example").Domain)
				if age := time.Since(k.Fetched); age < 0 || age > time.Second {
					t.Errorf("fetched %v ago", age)
				}
				first.Close()

				w.setTXT("a.example", txtAnswer{err: errServfail})
				w.setHost("a.example", hostAnswer{err: errRefused})
				second := w.resolverWith(st)
				time.Sleep(10*day - time.Second)
				expect(t, second, "a.example", "enforce/1")
				time.Sleep(2 * time.Second) // the file has whole seconds
				expect(t, second, "a.example", "-")
			})
		})
	}
}

// A policy that memory has keeps its life and its refresh, however the clock is set.
func TestClockSetWhileAPolicyLives(t *testing.T) {
	for name, step := range map[string]time.Duration{"forward": 400 * day, "back": -400 * day} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.publish("a.example", "1", policyText("enforce", "864000"))
				r := w.resolver()
				expect(t, r, "a.example", "enforce/1")
				time.Sleep(time.Hour)
				w.setClock(step)
				time.Sleep(time.Hour)
				if _, fetches := w.asked("a.example"); fetches != 1 {
					t.Errorf("%d fetches in the first hours, want 1", fetches)
				}
				time.Sleep(26 * time.Hour)
				if _, fetches := w.asked("a.example"); fetches != 2 {
					t.Errorf("%d fetches in a day and some hours, want 2", fetches)
				}
				expect(t, r, "a.example", "enforce/1")
			})
		})
	}
}

// No two readings of the clock match. Still, what is taken from the store and written
// again, as eviction does, stays as it was, and is no news.
func TestClockNeverReadsTheSame(t *testing.T) {
	for _, mode := range []string{"enforce", "none"} {
		t.Run(mode, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, err := mtasts.ParsePolicy(policyText(mode, "864000"))
				if err != nil {
					t.Fatal(err)
				}
				now := time.Now().UTC()
				later := now.Add(time.Hour)
				d := hop(t, "a.example").Domain
				stored := store.Entry{Domain: d, ID: "1", Policy: p, Fetched: now, Recheck: later, Used: now, Next: later,
					Verdicts: []store.Verdict{{MX: true, Port: smtpPort, Kind: uint8(dane.None), Until: later}}}
				if mode == "none" {
					stored.Next = now.Add(10*day + keepExpired)
				}
				st := store.OpenMemory()
				st.Put(stored)
				var readings time.Duration
				c := newClock(func() time.Time {
					readings++
					return time.Now().Add((readings%3 - 1) * time.Microsecond)
				})
				for range 10 {
					var settings atomic.Pointer[Settings]
					settings.Store(&Settings{Entries: 1, NegativeEntries: 1, RefreshInterval: day, Idle: day})
					known := newCache(&settings, st, c)
					e := known.known(d, c.now())
					if known.hasNews(e) {
						t.Error("what was just read is news")
					}
					known.update(d, e)
				}
				if got, _ := st.Get(d); !reflect.DeepEqual(got, stored) {
					t.Errorf("got  %+v\nwant %+v", got, stored)
				}
			})
		})
	}
}
