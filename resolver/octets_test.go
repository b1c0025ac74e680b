package resolver

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
)

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
