package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// The daemon's addresses for Postfix: its default, and the documented one for
// tcp_table.
const (
	daemonAddr   = "127.0.0.1:8461"
	tcpTableAddr = "127.0.0.1:8462"
	reportAddr   = "127.0.0.1:8463" // a tcp_table with report attributes
)

// listenAll is the setting for both protocols at once.
const listenAll = `listen: {socketmap: ["` + daemonAddr + `"], tcp_table: ["` + tcpTableAddr + `", {address: "` + reportAddr + `", map: tlsrpt}]}`

// Messages of the daemon's log.
const (
	saysReady       = `msg="Ready to answer lookups"`
	saysReloaded    = `msg="Configuration reloaded"`
	saysPolicyFound = `msg="Policy found"`
)

// Paths of the daemon's files in its root.
const (
	daemonPath   = "/usr/sbin/mta-sts-daemon"
	daemonConfig = "/etc/mta-sts-daemon/config.yaml"
	daemonCAFile = "/etc/mta-sts-daemon/ca.pem"
)

// daemon is the program under test.
type daemon struct {
	*process
	root *root
}

// startDaemon starts the daemon in a root of its own, with nothing in its
// cache, and returns when it can be asked. settings are top-level lines of its
// configuration, "key: value", that add to or replace those of configure.
func startDaemon(t *testing.T, w *world, settings ...string) *daemon {
	t.Helper()
	return startDaemonIn(t, w, newRoot(t, bookworm), settings...)
}

// startDaemonIn does so in the root of another program.
func startDaemonIn(t *testing.T, w *world, r *root, settings ...string) *daemon {
	t.Helper()
	r.write(t, daemonCAFile, string(w.ca.PEM()))
	r.write(t, daemonPath, "")
	binary := daemonBinary(os.Getenv(envWorkDir))
	if err := unix.Mount(binary, filepath.Join(r.dir, daemonPath), "", unix.MS_BIND, ""); err != nil {
		t.Fatalf("mounting %s: %v", binary, err)
	}
	d := &daemon{root: r}
	d.configure(t, settings...)
	d.process = startProcess(t, r.command(daemonPath, "serve", "--config", daemonConfig))
	d.awaitSaid(t, saysReady, 1)
	return d
}

// configure writes the configuration file: the world's resolver and authority
// in place of the host's, and settings.
func (d *daemon) configure(t *testing.T, settings ...string) {
	t.Helper()
	d.root.write(t, daemonConfig, settingsFile(":", append([]string{
		fmt.Sprintf("listen: {socketmap: [%q]}", daemonAddr),
		fmt.Sprintf("dns: {servers: [%q], dane: off}", resolverAddr),
		fmt.Sprintf("fetch: {ca_file: %q, allow_networks: [127.0.0.0/8]}", daemonCAFile),
		`cache: {file: "off"}`,
		"log: {level: debug}",
	}, settings...)...))
}

// reload puts settings in force in place of those before.
func (d *daemon) reload(t *testing.T, settings ...string) {
	t.Helper()
	d.configure(t, settings...)
	lines, _ := d.said.snapshot()
	before := containing(lines, saysReloaded)
	if err := d.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	d.awaitSaid(t, saysReloaded, before+1)
}
