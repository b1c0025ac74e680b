package resolver

import (
	"testing"
	"testing/synctest"
	"time"
)

// What an operator purges while its renewal hangs is not written down again when
// the renewal fails.
func TestPurgeDuringARenewal(t *testing.T) {
	for name, purge := range map[string]func(t *testing.T, r *Resolver) error{
		"one": func(t *testing.T, r *Resolver) error { return r.Purge(t.Context(), hop(t, "a.example").Domain) },
		"all": func(t *testing.T, r *Resolver) error { return r.PurgeAll(t.Context()) },
	} {
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

// What is to be forgotten may have a successor by the time that it is done.
func TestForgetLeavesWhatIsNewer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.resolver()                                                                    // room for 4
		domains := []string{"a.example", "b.example", "c.example", "d.example", "e.example"} // a is in the store alone
		for _, d := range domains {
			w.publish(d, "1", policyText("enforce", "864000"))
			expect(t, r, d, "enforce/1")
		}
		older := func(fetched time.Time) bool { return fetched.Before(time.Now()) }
		for _, d := range domains {
			r.cache.forget(hop(t, d).Domain, older)
			expectKnown(t, r, d, "enforce/1")
		}
		r.forgetAll(older)
		if n := r.PolicyCount(); n != len(domains) {
			t.Errorf("%d policies are left of %d", n, len(domains))
		}
		time.Sleep(time.Second)
		for _, d := range domains {
			r.cache.forget(hop(t, d).Domain, older)
			expectKnown(t, r, d, "")
		}
	})
}
