package system

import (
	"fmt"
	"testing"

	"mta-sts-daemon/e2e/internal/isolated"
)

// TestSystem takes a mail server through the life of the package, on each Debian.
// The steps share one server. Each starts and leaves it as the installation has
// left it, except the last, which removes the package.
func TestSystem(t *testing.T) {
	isolated.Need(t, "the package on a booted Debian")
	for _, s := range suites() {
		t.Run(string(s), func(t *testing.T) {
			t.Parallel()
			s.need(t)
			v := newServer(t, s)
			for _, step := range []struct {
				name string
				show func(t *testing.T, v *server)
			}{
				{"status", showStatus},
				{"lintian", runLintian},
				{"before Postfix", precedePostfix},
				{"without sockets", serveWithoutSockets},
				{"restart of the units", restartUnits},
				{"other sockets", moveSocket},
				{"delivery", deliver},
				{"reload", reload},
				{"move of the control socket", moveControl},
				{"DANE", decideDANE},
				{"reload under load", reloadUnderLoad},
				{"restart under load", restartUnderLoad},
				{"upgrade under load", upgradeUnderLoad},
				{"kill", killMain},
				{"watchdog", tripWatchdog},
				{"journal", readJournal},
				{"catalog", explainJournal},
				{"outcomes", countOutcomes},
				{"hardening", measureExposure},
				{"reboot", rebootServer},
				{"port conflict", installBesideOther},
				{"remove and purge", removeAndPurge},
			} {
				t.Run(step.name, func(t *testing.T) { step.show(t, v) })
			}
		})
	}
}

// server is a machine with Postfix, unbound and the package installed, and the
// world around it.
type server struct {
	*machine
	*world
}

// Names on the machine.
const (
	serviceUnit = "mta-sts-daemon.service"
	socketUnit  = "mta-sts-daemon.socket"
	configFile  = "/etc/mta-sts-daemon/config.yaml"
	mainCFFile  = "/etc/postfix/main.cf"
	hostName    = "host.test"
)

// newServer boots a server and installs the package.
func newServer(t *testing.T, s suite) *server {
	t.Helper()
	m := newMachine(t, s)
	v := &server{machine: m, world: newWorld(t, m.network)}
	v.furnish(t)
	v.boot(t)
	t.Cleanup(func() { v.tell(t) })
	v.install(t)
	return v
}

// furnish gives the machine its configuration, before its first boot.
func (v *server) furnish(t *testing.T) {
	t.Helper()
	v.root.add(t, "/etc/ssl/certs/ca-certificates.crt", string(v.ca.PEM()))
	v.root.write(t, "/etc/hostname", hostName+"\n")
	v.root.write(t, "/etc/resolv.conf", "nameserver "+resolverAddr+"\n")
	v.root.write(t, "/etc/unbound/unbound.conf", unboundConf)
	v.root.write(t, mainCFFile, mainCF("socketmap:inet:"+socketmapAddr+":postfix"))
	// They would hold apt's lock, and the machine has no network.
	v.root.mask(t, "apt-daily.timer", "apt-daily-upgrade.timer")
}

// unboundConf makes unbound a plain recursive resolver for the zone test.
const unboundConf = `
server:
	interface: ` + resolverAddr + `
	chroot: ""
	module-config: "iterator"
	do-not-query-localhost: no
	local-zone: "test." nodefault
stub-zone:
	name: "test."
	stub-addr: ` + authorityAddr + `
remote-control:
	control-enable: no
`

// mainCF makes Postfix send to the world's domains with these policy maps.
func mainCF(policyMaps string) string {
	return fmt.Sprintf(`compatibility_level = 3.6
myhostname = %s
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtp_tls_security_level = may
smtp_tls_policy_maps = %s
smtp_tls_CAfile = /etc/ssl/certs/ca-certificates.crt
smtp_tls_loglevel = 1
`, hostName, policyMaps)
}

// tell shows the machine's state after a failure.
func (v *server) tell(t *testing.T) {
	if !t.Failed() {
		return
	}
	for _, args := range [][]string{
		{"systemctl", "status", "--full", serviceUnit, socketUnit},
		{"journalctl", "--lines=200"},
	} {
		out, _ := v.command(args[0], args[1:]...).CombinedOutput()
		t.Logf("%v:\n%s", args, out)
	}
}
