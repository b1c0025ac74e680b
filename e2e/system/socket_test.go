package system

import (
	"net"
	"strings"
	"testing"

	"mta-sts-daemon/e2e/internal/isolated"
)

// unixSocket is the socket unit's second socket.
const unixSocket = "/var/spool/postfix/mta-sts/sock"

// checkPassed checks that both units are active, and that the service answers on
// the sockets that systemd holds (sd_listen_fds(3)).
func (v *server) checkPassed(t *testing.T, address string) {
	t.Helper()
	// A command that names the socket unit alone does not wait for the service.
	isolated.Eventually(t, "the service to be up", func() bool { return v.property(t, "ActiveState") == "active" })
	v.run(t, "systemctl", "is-active", socketUnit)
	v.run(t, "grep", "--quiet", "--null-data", "^LISTEN_FDS=2$", "/proc/"+v.property(t, "MainPID")+"/environ")
	v.run(t, "test", "-S", unixSocket)
	v.checkLookupAt(t, address, string(known), known.secure())
}

// restartUnits restarts the socket unit and the service in every order and from
// every state, also when the daemon itself has the port or cannot start.
func restartUnits(t *testing.T, v *server) {
	t.Cleanup(func() {
		v.run(t, "systemctl", "enable", socketUnit)
		v.run(t, "systemctl", "restart", socketUnit, serviceUnit)
	})
	orders := [][]string{{socketUnit, serviceUnit}, {serviceUnit, socketUnit}, {socketUnit}, {serviceUnit}}
	for _, order := range orders {
		v.run(t, "systemctl", append([]string{"restart"}, order...)...)
		v.checkPassed(t, socketmapAddr)
	}
	for _, stopped := range [][]string{{serviceUnit, socketUnit}, {serviceUnit}, {socketUnit}} {
		for _, order := range orders[:2] {
			v.run(t, "systemctl", append([]string{"stop"}, stopped...)...)
			v.run(t, "systemctl", append([]string{"restart"}, order...)...)
			v.checkPassed(t, socketmapAddr)
		}
	}

	// healthcheck fails if the service listens by itself although the socket unit is enabled.
	v.run(t, "systemctl", "disable", "--now", socketUnit)
	v.run(t, "systemctl", "restart", serviceUnit)
	v.run(t, "mta-sts-daemon", "healthcheck")
	v.runFailing(t, "systemctl", "enable", "--now", socketUnit)
	if out := v.runFailing(t, "mta-sts-daemon", "healthcheck"); !strings.Contains(out, socketUnit+" is enabled and inactive") {
		t.Errorf("healthcheck does not name %s: %s", socketUnit, out)
	}
	v.checkKnown(t)
	v.run(t, "systemctl", "restart", serviceUnit)
	v.checkPassed(t, socketmapAddr)
	v.run(t, "mta-sts-daemon", "healthcheck")

	// The daemon listens by itself, and gives the port back.
	for _, order := range orders[:2] {
		v.run(t, "systemctl", "disable", "--now", socketUnit)
		v.run(t, "systemctl", "restart", serviceUnit)
		v.checkKnown(t)
		v.run(t, "systemctl", "enable", socketUnit)
		v.run(t, "systemctl", append([]string{"restart"}, order...)...)
		v.checkPassed(t, socketmapAddr)
	}
}

// moveSocket changes the address of the socket unit, and changes it back.
func moveSocket(t *testing.T, v *server) {
	const (
		dropIn = "/etc/systemd/system/" + socketUnit + ".d"
		moved  = "127.0.0.1:8642"
	)
	t.Cleanup(func() {
		v.root.remove(t, dropIn)
		v.run(t, "systemctl", "daemon-reload")
		v.run(t, "systemctl", "restart", serviceUnit, socketUnit)
		v.checkPassed(t, socketmapAddr)
	})
	v.root.write(t, dropIn+"/override.conf", "[Socket]\nListenStream=\nListenStream="+moved+"\nListenStream="+unixSocket+"\n")
	v.run(t, "systemctl", "daemon-reload")
	v.run(t, "systemctl", "restart", socketUnit, serviceUnit)
	v.checkPassed(t, moved)
}

// installBesideOther installs the package while another program has the port, of which the
// installation informs. When that program ends, both units start by themselves: systemd
// restarts the service every two seconds, and starts the socket unit first each time.
func installBesideOther(t *testing.T, v *server) {
	v.run(t, "apt-get", "remove", "--yes", "mta-sts-daemon")
	var other net.Listener
	isolated.Within(t, v.network, func() {
		var err error
		if other, err = net.Listen("tcp", socketmapAddr); err != nil {
			t.Fatal(err)
		}
	})
	defer other.Close()
	said := v.aptInstall(t, nextVersion)
	for _, want := range []string{"does not answer Postfix yet", "another program has its port", "ss -ltnp 'sport = :8461'"} {
		if !strings.Contains(said, want) {
			t.Errorf("apt does not print %q:\n%s", want, said)
		}
	}
	v.runFailing(t, "systemctl", "is-active", socketUnit)
	findings, _ := v.command("mta-sts-daemon", "doctor").Output()
	if want := socketUnit + " is enabled and "; !strings.Contains(string(findings), want) {
		t.Errorf("doctor does not say %q:\n%s", want, findings)
	}
	// Between two starts: if the port became free between the starts of the socket unit and of the
	// service, the daemon would listen by itself, which healthcheck and doctor report.
	before := v.property(t, "NRestarts")
	isolated.Eventually(t, "the next start to fail", func() bool {
		return v.property(t, "NRestarts") != before && v.property(t, "SubState") == "auto-restart"
	})
	other.Close()
	v.checkPassed(t, socketmapAddr)
	v.run(t, "mta-sts-daemon", "healthcheck")
	v.run(t, "systemctl", "restart", socketUnit, serviceUnit)
	v.checkPassed(t, socketmapAddr)
}
