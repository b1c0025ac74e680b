package policies

import (
	"fmt"
	"sync"
	"testing"
)

// A domain's entry is in the LRU or among those evicted at each moment: nobody who misses it
// may take an older one from the file for the current one.
func TestWindowLosesNoEntry(t *testing.T) {
	w := newWindow(1)
	var all sync.WaitGroup
	for i := range 8 {
		d := domain(t, fmt.Sprintf("d%d.example", i))
		all.Go(func() {
			for range 20_000 {
				e := &Entry{}
				w.put(d, e, 1)
				if got := w.use(d); got != nil && got != e {
					t.Errorf("%v: another entry", d)
				} else if got == nil && w.takeEvicted(d) != e {
					t.Errorf("%v: neither in the LRU nor evicted", d)
				}
			}
		})
	}
	all.Wait()
}
