package e2e

import (
	"bytes"
	"cmp"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gopkg.in/yaml.v3"
)

// peerConfig describes another daemon, in the format of "make bench": package
// bench says what each field means. Here it must have a TCP address, and answer
// in the same words as ours.
type peerConfig struct {
	Name     string            `yaml:"name"`
	Command  []string          `yaml:"command"`
	Env      []string          `yaml:"env"`
	Files    map[string]string `yaml:"files"`
	TCP      string            `yaml:"tcp"`
	Unix     string            `yaml:"unix"`
	TCPTable string            `yaml:"tcp_table"`
	Map      string            `yaml:"map"`
}

func readPeers(t *testing.T, path string) (peers []peerConfig) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&peers); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	for _, p := range peers {
		if p.Name == "" || len(p.Command) == 0 || p.TCP == "" {
			t.Fatalf("%s: each peer needs a name, a command and a TCP address", path)
		}
	}
	return peers
}

const (
	// peerAnswers is how long a peer may take to answer. Postfix waits for
	// 100 s, but the domains are known here.
	peerAnswers = 3 * time.Second
	// peerStarts is how long it may take to listen, and to end.
	peerStarts = 10 * time.Second
)

// ourselves is the daemon as if it were a peer: with its defaults, but for a
// file of its own and DANE, and nothing done for it that is not done for others.
func ourselves() peerConfig {
	adminSocket := filepath.Join(os.TempDir(), "admin.sock") // {dir} is longer than a socket's address may be
	return peerConfig{
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
	config peerConfig
	dir    string
	env    []string
}

// startPeer starts c in the scene and has it learn all known policies.
func startPeer(t *testing.T, s *scene, c peerConfig, env ...string) *peer {
	t.Helper()
	p := &peer{config: c, dir: filepath.Join(s.root.dir, stateDir)}
	s.root.write(t, daemonCAFile, string(s.ca.PEM()))
	p.env = append(append(os.Environ(), "SSL_CERT_FILE="+filepath.Join(s.root.dir, daemonCAFile)), env...)
	for _, assignment := range c.Env {
		p.env = append(p.env, p.fill(assignment))
	}
	for name, text := range c.Files {
		s.root.write(t, filepath.Join(stateDir, name), p.fill(text))
	}
	if err := p.start(t); err != nil {
		t.Fatal(err)
	}
	asking := p.client()
	defer asking.close()
	for _, domain := range s.known {
		if answer, err := asking.lookup(domain); err != nil || answer != secure(domain) {
			t.Fatalf("%s: got %q, %v; want %q", domain, answer, err, secure(domain))
		}
	}
	return p
}

// fill puts the peer's directory into a text.
func (p *peer) fill(text string) string { return strings.ReplaceAll(text, "{dir}", p.dir) }

// start starts the peer and returns when it listens.
func (p *peer) start(t *testing.T) error {
	t.Helper()
	command := make([]string, len(p.config.Command))
	for i, word := range p.config.Command {
		command[i] = p.fill(word)
	}
	cmd := exec.Command(command[0], command[1:]...)
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

// again starts the peer anew, if it can be.
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

func (p *peer) client() *client {
	return &client{addr: p.config.TCP, mapName: cmp.Or(p.config.Map, defaultMap), patience: peerAnswers}
}
