package resolver

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// Peek returns what memory knows, for as long as that holds, and leaves no trace:
// no question to the DNS, no use, no count.
func TestPeek(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish("a.example", "1", policyText("enforce", "864000"))
		r := w.resolver()
		expect(t, r, "a.example", "enforce/1")
		expect(t, r, "none.example", "-")
		traces := func() [4]int {
			k, _ := r.Known(hop(t, "a.example").Domain)
			count, err := testutil.GatherAndCount(w.reg)
			if err != nil {
				t.Fatal(err)
			}
			known, _ := w.asked("a.example")
			unheard, _ := w.asked("unheard.example")
			return [4]int{known, unheard, int(k.Used.Unix()), count}
		}
		before := traces()
		for _, c := range []struct {
			after  time.Duration
			domain string
			known  bool
			policy bool
		}{
			{0, "a.example", true, true},
			{0, "none.example", true, false},
			{0, "unheard.example", false, false},
			{10 * time.Minute, "a.example", true, true}, // its record is due to be asked for again
			{0, "none.example", false, false},
			{11 * day, "unheard.example", false, false},
		} {
			time.Sleep(c.after)
			a, ok := r.Peek(hop(t, c.domain), time.Now())
			if ok != c.known || (a.Policy != nil) != c.policy {
				t.Errorf("%s: %+v, %v", c.domain, a, ok)
			}
			synctest.Wait()
			if c.after < day && traces() != before {
				t.Errorf("after Peek(%s): %v, before %v", c.domain, traces(), before)
			}
		}
	})
}
