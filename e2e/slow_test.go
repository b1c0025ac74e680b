package e2e

import (
	"fmt"
	"testing"
	"time"
)

// slowerThanAnswer has a policy host that takes longer than a lookup may. The
// first message is sent as to a domain without a policy; its discovery continues
// and serves the next message. (Slow policy hosts within the limit are among the
// deliveries.)
func slowerThanAnswer(t *testing.T, w *world, d *daemon, f fleet, first, second *row) {
	const domain, address = "slower.test", "127.0.2.2"
	w.addMX(domain, "mx."+domain, address)
	w.publish(domain, enforceAfter(12*time.Second)(domain))
	mx := startSink(t, w.ca, address+":25", "mx."+domain, goodCertificate)

	f.deliver(t, first, "postmaster@"+domain, mx, always(trusted))
	d.awaitSaid(t, fmt.Sprintf("%s domain=%s ", saysPolicyFound, domain), 1)
	f.deliver(t, second, "postmaster@"+domain, mx, underPolicy(verified))
	if got := w.hosts.Requests(domain); got != 1 {
		t.Errorf("the policy host was asked %d times, want once", got)
	}
}
