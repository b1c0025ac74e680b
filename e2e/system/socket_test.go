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
// the sockets that systemd holds.
func (v *server) checkPassed(t *testing.T, address string) {
	t.Helper()
	v.run(t, "systemctl", "is-active", serviceUnit, socketUnit)
	if state := strings.TrimSpace(v.run(t, "systemctl", "show", "--value", "--property=SubState", socketUnit)); state != "running" {
		t.Fatalf("%s is %s, want running: the service has not taken over its sockets", socketUnit, state)
	}
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

// moveSocket changes where the socket unit listens, and changes it back.
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

// installBesideOther installs the package while another program has the port. When
// that has ended, one command makes both units work. The daemon may have taken the
// port itself by then, because it tries again every other second.
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
	v.aptInstall(t, nextVersion)
	v.runFailing(t, "systemctl", "is-active", socketUnit)
	findings, _ := v.command("mta-sts-daemon", "doctor").Output()
	if want := socketUnit + " is enabled and "; !strings.Contains(string(findings), want) {
		t.Errorf("doctor does not say %q:\n%s", want, findings)
	}
	other.Close()
	eventually(t, "the daemon to take the port", func() bool { return v.property(t, "ActiveState") == "active" })
	if out := v.runFailing(t, "mta-sts-daemon", "healthcheck"); !strings.Contains(out, socketUnit) {
		t.Errorf("healthcheck does not name %s: %s", socketUnit, out)
	}
	v.run(t, "systemctl", "restart", socketUnit, serviceUnit)
	v.checkPassed(t, socketmapAddr)
	v.run(t, "mta-sts-daemon", "healthcheck")
}
