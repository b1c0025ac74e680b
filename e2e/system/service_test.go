package system

import (
	"slices"
	"strings"
	"testing"
	"time"

	"mta-sts-daemon/e2e/internal/isolated"
)

// property is one property of the service.
func (v *server) property(t *testing.T, name string) string {
	t.Helper()
	return strings.TrimSpace(v.run(t, "systemctl", "show", "--value", "--property="+name, serviceUnit))
}

// showStatus checks the daemon's status line in systemctl's output.
func showStatus(t *testing.T, v *server) {
	said := v.property(t, "StatusText")
	if want := "Answering lookups; 1 policy"; said != want {
		t.Errorf("the status text is %q, want %q", said, want)
	}
	if status := v.run(t, "systemctl", "status", serviceUnit); !strings.Contains(status, `Status: "`+said+`"`) {
		t.Errorf("systemctl status does not show %q:\n%s", said, status)
	}
}

// precedePostfix checks that the service starts before Postfix at boot and ends
// after it, whatever units Postfix has. If the sockets are the daemon's own, mail
// would be deferred in between.
func precedePostfix(t *testing.T, v *server) {
	running := v.run(t, "systemctl", "list-units", "--plain", "--no-legend", "postfix.service", "postfix@*.service")
	for line := range strings.Lines(running) {
		unit, _, _ := strings.Cut(line, " ")
		after := v.run(t, "systemctl", "show", "--value", "--property=After", unit)
		if !slices.Contains(strings.Fields(after), serviceUnit) {
			t.Errorf("%s does not wait for %s", unit, serviceUnit)
		}
	}
	if running == "" {
		t.Error("no unit of Postfix runs")
	}
}

// serveWithoutSockets tests the daemon with the socket unit stopped: it opens its sockets itself.
func serveWithoutSockets(t *testing.T, v *server) {
	t.Cleanup(func() {
		v.run(t, "systemctl", "stop", serviceUnit)
		v.run(t, "systemctl", "start", socketUnit, serviceUnit)
	})
	v.run(t, "systemctl", "stop", serviceUnit, socketUnit)
	v.run(t, "systemctl", "start", serviceUnit)
	v.checkKnown(t)

	v.run(t, "systemctl", "stop", serviceUnit)
	v.run(t, "systemctl", "start", socketUnit)
	v.checkKnown(t) // which starts the service
}

// reload loads a valid and an invalid configuration.
func reload(t *testing.T, v *server) {
	t.Cleanup(func() {
		v.root.write(t, configFile, config(""))
		v.run(t, "systemctl", "reload", serviceUnit)
	})
	const override = "secure match=mx.partner.test servername=hostname"
	main := v.property(t, "MainPID")

	v.root.write(t, configFile, config(`overrides: {partner.test: "`+override+`"}`))
	v.run(t, "systemctl", "reload", serviceUnit)
	v.checkLookup(t, "partner.test", "OK "+override)

	v.root.write(t, configFile, config("colour: blue"))
	v.runFailing(t, "systemctl", "reload", serviceUnit)
	v.awaitInJournal(t, "colour", "--unit="+serviceUnit)
	v.checkLookup(t, "partner.test", "OK "+override)
	if got := v.property(t, "ActiveState"); got != "active" {
		t.Errorf("the service is %s after a failed reload", got)
	}
	if got := v.property(t, "MainPID"); got != main {
		t.Errorf("a reload has replaced process %s by %s", main, got)
	}
}

// moveControl has systemd's command find nobody at the new control socket.
func moveControl(t *testing.T, v *server) {
	reload := func(more, path string) {
		v.root.write(t, configFile, config(more))
		v.run(t, "systemctl", "reload", serviceUnit)
		isolated.Eventually(t, "the control socket "+path, func() bool {
			return v.command("test", "-S", path).Run() == nil
		})
	}
	t.Cleanup(func() { reload("", "/run/mta-sts-daemon/admin.sock") })
	const moved = "/run/mta-sts-daemon/moved.sock"
	reload("admin: {socket: "+moved+"}", moved)
}

// restartUnderLoad restarts the service while clients ask.
func restartUnderLoad(t *testing.T, v *server) {
	var restart time.Duration // the longest
	l := v.underLoad(t, func(awaitAnswers func()) {
		for range 6 { // more often than systemd lets a unit start in 10 s, unless told otherwise
			awaitAnswers()
			begun := time.Now()
			v.run(t, "systemctl", "restart", serviceUnit)
			restart = max(restart, time.Since(begun))
		}
		awaitAnswers()
	})
	if longest := l.Quantile(1); longest > restart+time.Second {
		t.Errorf("a lookup took %v, but no restart more than %v", longest, restart)
	}
	v.checkKnown(t)
}

// reloadUnderLoad reloads the service while clients ask.
func reloadUnderLoad(t *testing.T, v *server) {
	v.underLoad(t, func(awaitAnswers func()) {
		for range 10 {
			awaitAnswers()
			v.run(t, "systemctl", "reload", serviceUnit)
		}
		awaitAnswers()
	})
}

// decideDANE switches DANE on in Postfix. The daemon finds out by postconf in spite of its
// sandbox.
func decideDANE(t *testing.T, v *server) {
	usual := mainCF("socketmap:inet:" + socketmapAddr + ":postfix")
	t.Cleanup(func() {
		v.root.write(t, mainCFFile, usual)
		v.run(t, "systemctl", "restart", serviceUnit)
	})
	v.root.write(t, mainCFFile, usual+"smtp_dns_support_level = dnssec\n")
	v.run(t, "systemctl", "restart", serviceUnit)
	v.awaitInJournal(t, "DANE takes precedence over MTA-STS here", "--unit="+serviceUnit)
}

// upgradeUnderLoad installs the next version while clients ask.
func upgradeUnderLoad(t *testing.T, v *server) {
	v.underLoad(t, func(awaitAnswers func()) {
		awaitAnswers()
		before := v.property(t, "MainPID")
		v.aptInstall(t, nextVersion)
		if after := v.property(t, "MainPID"); after == before {
			t.Error("the old version goes on after the upgrade")
		}
		awaitAnswers()
	})
	v.checkKnown(t)
}

// killMain kills the daemon twice while clients ask.
func killMain(t *testing.T, v *server) {
	v.underLoad(t, func(awaitAnswers func()) {
		for range 2 {
			awaitAnswers()
			v.signalMain(t, "KILL")
		}
		awaitAnswers()
	})
	v.checkKnown(t)
}

// tripWatchdog stops the daemon's process, with a shorter watchdog timeout than the unit has.
func tripWatchdog(t *testing.T, v *server) {
	if v.property(t, "WatchdogUSec") == "0" {
		t.Fatal("the unit has no watchdog")
	}
	const dropIn = "/etc/systemd/system/" + serviceUnit + ".d"
	v.root.write(t, dropIn+"/watchdog.conf", "[Service]\nWatchdogSec=2s\n")
	t.Cleanup(func() {
		v.root.remove(t, dropIn)
		v.run(t, "systemctl", "daemon-reload")
		v.run(t, "systemctl", "restart", serviceUnit)
	})
	v.run(t, "systemctl", "daemon-reload")
	v.run(t, "systemctl", "restart", serviceUnit)
	v.signalMain(t, "STOP")
	v.awaitInJournal(t, "Watchdog timeout", "--unit="+serviceUnit)
	v.checkKnown(t)
}

// signalMain sends a signal to the daemon and waits until systemd has started it again.
func (v *server) signalMain(t *testing.T, signal string) {
	t.Helper()
	before := v.property(t, "MainPID")
	v.run(t, "systemctl", "kill", "--kill-whom=main", "--signal="+signal, serviceUnit)
	isolated.Eventually(t, "the service to be up again", func() bool {
		return v.property(t, "ActiveState") == "active" && v.property(t, "MainPID") != before
	})
}

// rebootServer switches the server off and on.
func rebootServer(t *testing.T, v *server) {
	v.reboot(t)
	v.run(t, "systemctl", "is-active", serviceUnit, socketUnit)
	v.checkKnown(t)
}
