package e2e

import (
	"testing"
	"time"
)

// TestSlowerThanAnswer has a policy host take longer than a lookup may. The
// first message goes out as to a domain without a policy; what was begun for it
// goes on and serves the next. (A policy host that is slow, but not too slow, is
// among the deliveries.)
func TestSlowerThanAnswer(t *testing.T) {
	w := newWorld(t)
	d := startDaemon(t, w)
	d.stopLater(t)
	p := startPostfix(t, w, bookworm)
	w.addMX("slower.test", "mx.slower.test", "127.0.1.1")
	w.publish("slower.test", enforceAfter(12*time.Second)("slower.test"))
	startSink(t, w.ca, "127.0.1.1:25", "mx.slower.test", goodCertificate)

	checkOutcome(t, trusted, p.outcome(t, p.send(t, "postmaster@slower.test")))
	d.awaitSaid(t, saysPolicyFound, 1)
	checkOutcome(t, verified, p.outcome(t, p.send(t, "postmaster@slower.test")))
	if got := w.hosts.Requests("slower.test"); got != 1 {
		t.Errorf("the policy host was asked %d times, want once", got)
	}
}
