package isolated

import (
	"testing"
	"time"
)

// Patience limits how long tests wait for what must come. Nothing takes nearly that long unless
// it is broken; Postfix gives up on a map after 100 s.
const Patience = time.Minute

// Eventually waits until the condition holds, and returns how long that took. It looks again
// after a tenth of that time, from 2 to 50 ms.
func Eventually(t *testing.T, what string, holds func() bool) time.Duration {
	t.Helper()
	start := time.Now()
	for !holds() {
		waited := time.Since(start)
		if waited > Patience {
			t.Fatalf("waited %v in vain for: %s", Patience, what)
		}
		<-time.After(min(max(waited/10, 2*time.Millisecond), 50*time.Millisecond))
	}
	return time.Since(start)
}
