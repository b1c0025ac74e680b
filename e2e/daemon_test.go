package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// daemonAddr is where the daemon answers Postfix, its own default.
const daemonAddr = "127.0.0.1:8461"

// daemonConf is the configuration file: the world's resolver and authority in
// place of the host's.
const daemonConf = `
listen: {socketmap: [%q]}
dns: {servers: [%q], dane: off}
fetch: {ca_file: %q, allow_networks: [127.0.0.0/8]}
cache: {file: "off"}
log: {level: debug}
`

// startDaemon starts the program under test, with nothing in its cache, and
// returns when Postfix can ask it.
func startDaemon(t *testing.T, w *world) *process {
	t.Helper()
	dir := t.TempDir()
	config, caFile := filepath.Join(dir, "config.yaml"), filepath.Join(dir, "ca.pem")
	for name, text := range map[string]string{
		config: fmt.Sprintf(daemonConf, daemonAddr, resolverAddr.String(), caFile),
		caFile: string(w.ca.PEM()),
	} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(daemonBinary(os.Getenv(envWorkDir)), "serve", "--config", config)
	cmd.Env = []string{} // nothing of the machine may matter
	daemon := startProcess(t, cmd)
	daemon.awaitListening(t, daemonAddr)
	return daemon
}
