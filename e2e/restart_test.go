package e2e

import "testing"

// daemonRestarted stops and starts the daemon between two messages. The
// processes of Postfix that have delivered the first still hold a connection to
// the daemon that was; it must not matter.
func daemonRestarted(t *testing.T, m *matrix) {
	w := newWorld(t)
	f := startFleet(t, w, []answers{plain})
	w.publish("enforce.test", enforce("enforce.test"))
	mx := w.openMX(t, "enforce.test", 1, goodCertificate)

	for i, name := range []string{"daemon before a restart", "daemon after a restart"} {
		daemon := startDaemon(t, w)
		f.deliver(t, m.row(name), "postmaster@enforce.test", mx, always(verified))
		// The second one has nothing in its cache and discovers for itself.
		if requests := w.hosts.Requests("enforce.test"); requests != i+1 {
			t.Errorf("%s: the policy host was asked %d times in all", name, requests)
		}
		daemon.stop(t)
	}
}
