package e2e

import "testing"

// TestRestart stops and starts the daemon between two messages. The process of
// Postfix that has delivered the first still holds a connection to the daemon
// that was; it must not matter.
func TestRestart(t *testing.T) {
	w := newWorld(t)
	p := startPostfix(t, w, bookworm)
	w.addMX("enforce.test", "mx.enforce.test", "127.0.1.1")
	w.publish("enforce.test", enforce("enforce.test"))
	mx := startSink(t, w.ca, "127.0.1.1:25", "mx.enforce.test", goodCertificate)

	for run := 1; run <= 2; run++ {
		daemon := startDaemon(t, w)
		got := p.outcome(t, p.send(t, "postmaster@enforce.test"))
		if got.Status != statusSent || got.TLS != verified.tls {
			t.Errorf("daemon %d: %v", run, got)
		}
		// The second one has nothing in its cache and discovers for itself.
		if requests := w.hosts.Requests("enforce.test"); requests != run {
			t.Errorf("daemon %d: the policy host was asked %d times in all", run, requests)
		}
		daemon.stop(t)
	}
	if got := len(mx.received()); got != 2 {
		t.Errorf("%d messages were taken, want 2", got)
	}
}
