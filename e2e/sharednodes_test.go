package e2e

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"mta-sts-daemon/e2e/internal/isolated"
	"mta-sts-daemon/e2e/internal/mapclient"
	"mta-sts-daemon/resolver/resolvertest"
)

const (
	sharedNodes = 3

	fleetKeyFile = "/etc/mta-sts-daemon/fleet.key"
	fleetKey     = "5c2f6f3ab7c8d1d0a4a1b3e2f69788c05c2f6f3ab7c8d1d0a4a1b3e2f69788c0\n"
	nodeAdmin    = "/run/mta-sts-daemon-admin.sock"

	saysSharedDown = `msg="Shared store cannot be used`
)

// node is a daemon with its own address and policy file that shares its policies
// with others.
type node struct {
	*daemon
	mapclient.Client        // for the test's own lookups
	store            string // settings of cache.shared
}

// settings returns the node's configuration, with more settings of cache.shared.
func (n *node) settings(more string) []string {
	return []string{askAuthority, "log: {level: info}",
		fmt.Sprintf("listen: {socketmap: [%q]}", n.Address), fmt.Sprintf("admin: {socket: %q}", nodeAdmin),
		fmt.Sprintf("cache: {file: %q, shared: {%s%s}}", policyFile, n.store, more)}
}

// waitForStore has lookups wait for the store for as long as a busy machine takes. By
// default they wait for 100 ms and then ask the DNS and the policy host again.
const waitForStore = ", timeout: 5s"

// mailers are the nodes, and the world in which they look domains up.
type mailers struct {
	*world
	servers []*kvServer
	nodes   []*node
	known   []string // domains that every node knows

	mu    sync.Mutex
	fresh int // numbers given to what must be new
}

// Whether nodes have a key.
const (
	withKey    = true
	withoutKey = false
)

// newMailers starts nodes that share the store at url, which is on servers, and wait
// for it. They must be stopped.
func newMailers(t *testing.T, w *world, servers []*kvServer, url string, keyed bool) *mailers {
	t.Helper()
	m := &mailers{world: w, servers: servers}
	for i := range sharedNodes {
		r := newRoot(t, bookworm)
		keyFile := ""
		if keyed {
			r.write(t, fleetKeyFile, fleetKey)
			keyFile = fleetKeyFile
		}
		n := &node{
			Client: mapclient.Client{Address: fmt.Sprintf("127.0.0.%d:8461", 11+i)},
			store:  fmt.Sprintf("url: %q, key_file: %q", url, keyFile),
		}
		n.daemon = startDaemonIn(t, w, r, n.settings(waitForStore)...)
		m.nodes = append(m.nodes, n)
	}
	return m
}

func (m *mailers) stop(t *testing.T) {
	t.Helper()
	for _, n := range m.nodes {
		n.Close()
		n.daemon.stop(t)
	}
}

// restart starts every node again, with the policies that it has on disk and with the
// usual timeout for the store.
func (m *mailers) restart(t *testing.T) {
	t.Helper()
	for _, n := range m.nodes {
		n.stop(t)
		n.configure(t, n.settings("")...)
		n.again(t)
	}
}

// wantNoOtherWarning allows but one.
func (m *mailers) wantNoOtherWarning(t *testing.T) {
	t.Helper()
	for _, n := range m.nodes {
		for _, line := range n.warnings() {
			if !strings.Contains(line, saysSharedDown) {
				t.Errorf("%s warns: %s", n.Address, line)
			}
		}
	}
}

// open makes a domain that publishes a policy.
func (m *mailers) open(domain string) string {
	m.addMX(domain, "mx."+domain, "127.0.1.1")
	m.publish(domain, enforce(domain))
	return domain
}

// learn has every node look up so many domains, one node after the other.
func (m *mailers) learn(t *testing.T, domains int) {
	t.Helper()
	for i := range domains {
		m.known = append(m.known, m.open(fmt.Sprintf("k%d.test", i)))
	}
	for _, n := range m.nodes {
		for _, domain := range m.known {
			n.wantAnswer(t, domain, secure(domain))
		}
		for _, domain := range m.known { // each server has a queue of its own
			isolated.Eventually(t, domain+" is written", func() bool { return m.written(t, domain) })
		}
	}
}

// written reports whether the store has something of the domain.
func (m *mailers) written(t *testing.T, domain string) bool {
	return slices.ContainsFunc(m.servers, func(s *kvServer) bool {
		return s.admin.Exists(t.Context(), "mta-sts:"+domain).Val() == 1
	})
}

func (n *node) wantAnswer(t *testing.T, key, want string) {
	t.Helper()
	if answer, err := n.Lookup(key); err != nil || answer != want {
		t.Errorf("%s asked for %s: %q, %v; want %q", n.Address, key, answer, err, want)
	}
}

// asked returns how often the DNS and the policy hosts were asked for each of
// the domains, on average.
func (m *mailers) asked(domains []string) (queries, fetches float64) {
	for _, domain := range domains {
		queries += float64(m.zone.Queries("_mta-sts."+domain, dns.TypeTXT))
		fetches += float64(m.hosts.Requests(domain))
	}
	n := float64(len(domains))
	return queries / n, fetches / n
}

// command runs one of the commands that ask a running node.
func (n *node) command(args ...string) *exec.Cmd {
	return n.root.command(daemonPath, append(args, "--config", daemonConfig)...)
}

// change publishes another policy, under a new id or the old one, and returns the
// expected answer to Postfix.
func (m *mailers) change(domain, id string) (want string) {
	mx, also := "mx."+domain, fmt.Sprintf("mx%d.%s", m.next(), domain)
	m.zone.Publish(domain, id)
	m.hosts.Handle(domain, resolvertest.HostPolicy(policy("enforce", mx, also)))
	return "OK secure match=" + mx + ":" + also + " servername=hostname"
}

// spread returns how long it takes, after an operator's refresh or purge on one
// node, until the others answer differently too. The domain's policy must be a
// second old, because times in the store are whole seconds.
func (m *mailers) spread(t *testing.T, command, domain, id string) time.Duration {
	t.Helper()
	want := m.change(domain, id)
	run(t, m.nodes[0].command(command, domain))
	return isolated.Eventually(t, "every node knows of a "+command, func() bool { return m.allAnswer(domain, want) })
}

func (m *mailers) allAnswer(domain, want string) bool {
	return !slices.ContainsFunc(m.nodes, func(n *node) bool {
		answer, err := n.Lookup(domain)
		return err != nil || answer != want
	})
}

// openKnown opens a domain and has every node know it.
func (m *mailers) openKnown(t *testing.T) string {
	t.Helper()
	domain := m.openNext()
	for _, n := range m.nodes {
		n.wantAnswer(t, domain, secure(domain))
	}
	return domain
}

// openNext opens a domain that nobody knows.
func (m *mailers) openNext() string { return m.open(fmt.Sprintf("n%d.test", m.next())) }

func (m *mailers) next() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fresh++
	return m.fresh
}
