package resolver

import (
	"errors"
	"mta-sts-daemon/resolver/dane"
	"testing"
	"testing/synctest"
	"time"
)

// purges are the ways to purge a.example.
var purges = map[string]func(t *testing.T, r *Resolver) error{
	"one": func(t *testing.T, r *Resolver) error { return r.Purge(t.Context(), hop(t, "a.example").Domain) },
	"all": purgeAll,
}

// A policy that an administrator purges while its refresh hangs is not stored
// again when the refresh fails.
func TestPurgeDuringARefresh(t *testing.T) {
	for name, purge := range purges {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.publish("a.example", "1", policyText("enforce", "864000"))
				r := w.resolver()
				expect(t, r, "a.example", "enforce/1")
				w.publish("a.example", "2", "")
				w.setHost("a.example", hostAnswer{err: errRefused, delay: time.Minute})
				time.Sleep(time.Hour)
				expect(t, r, "a.example", "enforce/1") // its host hangs
				if err := purge(t, r); err != nil {
					t.Error(err)
				}
				time.Sleep(2 * time.Minute)
				if k, ok := r.Known(hop(t, "a.example").Domain); ok {
					t.Errorf("it has come back: %+v", k)
				}
				if n := r.RefreshFailing(); n != 0 {
					t.Errorf("%d policies whose refresh fails", n)
				}
			})
		})
	}
}

func purgeAll(t *testing.T, r *Resolver) error {
	_, err := r.PurgeAll(t.Context())
	return err
}

// A purge removes the verdicts of DANE too, also of a domain that is in the file alone.
func TestPurgeRemovesVerdicts(t *testing.T) {
	for name, purge := range purges {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				st := w.memory()
				c := &checker{verdict: dane.Verdict{Kind: dane.None, TTL: time.Hour}}
				w.publish("a.example", "1", policyText("enforce", "864000"))
				r := w.resolverWithDANE(st, c)
				expectDANE(t, r, "a.example", dane.None, 0)
				r.Close()
				r = w.resolverWithDANE(st, c)
				if err := purge(t, r); err != nil {
					t.Error(err)
				}
				c.err = errServfail
				if kind, _, err := lookUpDANE(t, r, hop(t, "a.example")); !errors.Is(err, ErrDANEUnknown) {
					t.Errorf("%v, %v, want what nobody can know", kind, err)
				}
			})
		})
	}
}

// A question that was under way when an administrator purged the domain says nothing that
// holds after the purge: the next lookup asks again.
func TestPurgeDuringADiscovery(t *testing.T) {
	announced := []string{"v=STSv1; id=1;"}
	for name, old := range map[string]struct {
		txt  txtAnswer
		host hostAnswer
	}{
		"no record":        {txtAnswer{ttl: time.Hour, delay: 5 * time.Second}, hostAnswer{}},
		"malformed record": {txtAnswer{records: []string{"v=STSv1; id=;"}, ttl: time.Hour, delay: 5 * time.Second}, hostAnswer{}},
		"DNS":              {txtAnswer{err: errServfail, delay: 5 * time.Second}, hostAnswer{}},
		"fetch":            {txtAnswer{records: announced, ttl: time.Hour}, hostAnswer{err: errRefused, delay: 5 * time.Second}},
		"no route":         {txtAnswer{records: announced, ttl: time.Hour}, hostAnswer{err: errNoRoute, delay: 5 * time.Second}},
	} {
		for of, purge := range purges {
			t.Run(name+", "+of, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					w.setTXT("a.example", old.txt)
					w.setHost("a.example", old.host)
					r := w.resolver()
					go r.Resolve(t.Context(), hop(t, "a.example"))
					time.Sleep(time.Second)
					w.publish("a.example", "1", policyText("enforce", "864000"))
					if err := purge(t, r); err != nil {
						t.Error(err)
					}
					time.Sleep(10 * time.Second)
					expect(t, r, "a.example", "enforce/1")
				})
			})
		}
	}
}

// The same for DANE.
func TestPurgeDuringACheck(t *testing.T) {
	for of, purge := range purges {
		for name, old := range map[string]*checker{
			"no DANE": {verdict: dane.Verdict{Kind: dane.None, TTL: time.Hour}, delay: 5 * time.Second},
			"failed":  {err: errServfail, delay: 5 * time.Second},
		} {
			t.Run(name+", "+of, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					r := w.resolverWithDANE(w.memory(), old)
					go r.Resolve(t.Context(), hop(t, "a.example"))
					time.Sleep(time.Second)
					s := *r.settings.Load()
					s.DANE = &checker{verdict: dane.Verdict{Kind: dane.Full, TTL: time.Hour}}
					r.Configure(s)
					if err := purge(t, r); err != nil {
						t.Error(err)
					}
					time.Sleep(10 * time.Second)
					expectDANE(t, r, "a.example", dane.Full, 0)
				})
			})
		}
	}
}

// A fetch that begins after a purge counts, although its discovery was queued before it: after a
// failure the id is not fetched again for a while.
func TestPurgeOfAQueuedDiscovery(t *testing.T) {
	for of, purge := range purges {
		t.Run(of, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.publish("a.example", "1", "")
				w.setHost("a.example", hostAnswer{err: errHostBusy})
				r := w.resolver()
				expect(t, r, "a.example", "-")
				if err := purge(t, r); err != nil {
					t.Error(err)
				}
				w.setHost("a.example", hostAnswer{err: errRefused})
				time.Sleep(2 * time.Second)
				w.expectWithoutFetch(r, "a.example", "-")
			})
		})
	}
}

// The same for a discovery that began with the policy which was purged.
func TestPurgeBeforeTheFetchOfARecheck(t *testing.T) {
	for of, purge := range purges {
		t.Run(of, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.publish("a.example", "1", policyText("enforce", "864000"))
				r := w.resolver()
				expect(t, r, "a.example", "enforce/1")
				w.setTXT("a.example", txtAnswer{records: []string{"v=STSv1; id=2;"}, ttl: time.Hour, delay: 5 * time.Second})
				w.setHost("a.example", hostAnswer{err: errRefused})
				time.Sleep(time.Hour)
				expect(t, r, "a.example", "enforce/1") // the question for the record goes on
				if err := purge(t, r); err != nil {
					t.Error(err)
				}
				expect(t, r, "a.example", "-")
				w.expectWithoutFetch(r, "a.example", "-")
			})
		})
	}
}

// A lookup gets no answer from a discovery that found nothing to do if the policy was purged at the
// same instant: it asks again.
func TestPurgeAtTheEndOfADiscovery(t *testing.T) {
	for of, purge := range purges {
		t.Run(of, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.publish("a.example", "1", policyText("enforce", "864000"))
				r := w.resolver()
				expect(t, r, "a.example", "enforce/1")
				a := hop(t, "a.example")
				d := discovery{Resolver: r, hop: a, why: firstDiscovery, began: r.clock.Now()}
				o := d.recall()
				if o == nil || o.kind != settled {
					t.Fatalf("%+v", o)
				}
				if err := purge(t, r); err != nil {
					t.Error(err)
				}
				if a, err := d.file(o); !errors.Is(err, errGone) {
					t.Errorf("%+v, %v", a, err)
				}
			})
		})
	}
}
