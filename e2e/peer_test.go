package e2e

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"mta-sts-daemon/e2e/internal/mapclient"
	"mta-sts-daemon/e2e/internal/peers"
)

// readPeers reads other daemons that answer over TCP, and in the same words as
// ours.
func readPeers(t *testing.T, path string) []peers.Server {
	t.Helper()
	list, err := peers.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range list {
		if p.TCP == "" {
			t.Fatalf("%s: %s needs a TCP address", path, p.Name)
		}
	}
	return list
}

const (
	// peerAnswers is how long a peer may take to answer. Postfix waits for
	// 100 s, but the domains are known here.
	peerAnswers = 3 * time.Second
	// peerStarts is how long it may take to listen, and to end.
	peerStarts = 10 * time.Second
)

// ourselves is the daemon as a peer: with its defaults, except its policy file
// and DANE, and under the same conditions as the others.
func ourselves() peers.Server {
	adminSocket := filepath.Join(os.TempDir(), "admin.sock") // {dir} is longer than a socket's address may be
	return peers.Server{
		Name:    "mta-sts-daemon",
		Command: []string{daemonBinary(os.Getenv(envWorkDir)), "serve", "--config", "{dir}/config.yaml"},
		Files: map[string]string{"config.yaml": settingsFile(":",
			"dns: {dane: always}", "fetch: {allow_networks: [127.0.0.0/8]}",
			`cache: {file: "{dir}/policies.db"}`, fmt.Sprintf("admin: {socket: %q}", adminSocket))},
		TCP: daemonAddr,
	}
}

// peer is a daemon of others in the place of ours. It runs outside of roots.
type peer struct {
	*process
	config peers.Server
	env    []string
}

// startPeer starts c in the scene and has it learn all known policies.
func startPeer(t *testing.T, s *scene, c peers.Server, env ...string) *peer {
	t.Helper()
	c = c.In(filepath.Join(s.root.dir, stateDir))
	p := &peer{config: c}
	s.root.write(t, daemonCAFile, string(s.ca.PEM()))
	p.env = slices.Concat(os.Environ(), []string{"SSL_CERT_FILE=" + filepath.Join(s.root.dir, daemonCAFile)}, env, c.Env)
	for name, text := range c.Files {
		s.root.write(t, filepath.Join(stateDir, name), text)
	}
	if err := p.start(t); err != nil {
		t.Fatal(err)
	}
	asking := p.client()
	defer asking.Close()
	for _, domain := range s.known {
		if answer, err := asking.Lookup(domain); err != nil || answer != secure(domain) {
			t.Fatalf("%s: got %q, %v; want %q", domain, answer, err, secure(domain))
		}
	}
	return p
}

// start starts the peer and returns when it listens.
func (p *peer) start(t *testing.T) error {
	t.Helper()
	cmd := exec.Command(p.config.Command[0], p.config.Command[1:]...)
	cmd.Env = p.env
	p.process = startProcess(t, cmd)
	tooLong := time.After(peerStarts)
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		conn, err := net.Dial("tcp", p.config.TCP)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-again.C:
		case <-p.done:
			return fmt.Errorf("%s ended: %v\n%s", p.config.Name, p.err, p.said)
		case <-tooLong:
			return fmt.Errorf("%s does not listen: %w", p.config.Name, err)
		}
	}
}

// again restarts the peer, if it can be restarted.
func (p *peer) again(t *testing.T) {
	t.Helper()
	if err := p.start(t); err != nil {
		t.Log(err)
	}
}

// stop ends the peer as systemd does, but with less patience.
func (p *peer) stop(t *testing.T) {
	t.Helper()
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(peerStarts):
		t.Logf("%s does not end", p.config.Name)
		p.kill(t)
	}
}

func (p *peer) kill(t *testing.T) {
	t.Helper()
	p.cmd.Process.Kill()
	p.awaitEnd(t)
}

func (p *peer) client() *mapclient.Client {
	return &mapclient.Client{Address: p.config.TCP, Map: cmp.Or(p.config.Map, mapclient.DefaultMap), Timeout: peerAnswers, Life: connectionLife}
}
