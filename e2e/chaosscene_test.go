package e2e

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"

	"mta-sts-daemon/e2e/internal/mapclient"
	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/resolvertest"
	"mta-sts-daemon/resolver/store"
)

// scene is the environment of a fault.
type scene struct {
	*world
	program
	root     *root
	daemon   *daemon        // the program, if it is our daemon
	resolver netip.AddrPort // that the program asks
	unbound  *process       // the resolver, if it is a real one
	life     time.Duration  // of policies; 0: a week
	known    []string       // domains that the program knows
}

// program is the program under test: the daemon, or a peer instead.
type program interface {
	client() *mapclient.Client // that asks it, with all its fields set
	pid() int
	holdings() (holdings, error)
	stop(t *testing.T)
	kill(t *testing.T)
	again(t *testing.T) // starts it again with its files
}

func (d *daemon) client() *mapclient.Client {
	return &mapclient.Client{Address: daemonAddr, Map: mapclient.DefaultMap, Timeout: patience, Life: connectionLife}
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// blame records a failure of the program: an error of our daemon, only a figure
// for a peer.
func (s *scene) blame(t *testing.T, format string, args ...any) {
	t.Helper()
	if s.daemon != nil {
		t.Errorf(format, args...)
	} else {
		t.Logf(format, args...)
	}
}

// awaitSaid waits for a line of our daemon's log. It knows no other's words.
func (s *scene) awaitSaid(t *testing.T, text string) {
	t.Helper()
	if s.daemon != nil {
		s.daemon.awaitSaid(t, text, 1)
	}
}

// newScene starts our daemon. It has the known policies on disk alone, and
// their records are due to be asked for again at their first lookup.
func newScene(t *testing.T, f fault) *scene {
	t.Helper()
	s := f.prepare(t, resolverAddr)
	storeDue(t, filepath.Join(s.root.dir, policyFile), s.known)
	s.daemon = startDaemonIn(t, s.world, s.root, slices.Concat(chaosSettings, f.settings)...)
	s.program = s.daemon
	if len(f.env) > 0 {
		s.daemon.stop(t)
		serve := s.root.command(daemonPath, "serve", "--config", daemonConfig)
		serve.Env = append(serve.Env, f.env...)
		s.daemon.process = startProcess(t, serve)
		s.daemon.awaitSaid(t, saysReady, 1)
	}
	return s
}

// prepare makes a scene that lacks its program yet.
func (f fault) prepare(t *testing.T, resolver netip.AddrPort) *scene {
	t.Helper()
	s := &scene{world: newBareWorld(t), root: newRoot(t, bookworm), resolver: resolver, life: f.life}
	if f.unbound {
		s.unbound = startUnboundAt(t, bookworm, resolver, "")
	}
	if f.before != nil {
		f.before(t, s)
	}
	for i := range knownDomains {
		domain := fmt.Sprintf("k%d.test", i)
		s.open(domain)
		s.known = append(s.known, domain)
	}
	return s
}

// open makes a domain that publishes a policy.
func (s *scene) open(domain string) {
	s.addMX(domain, "mx."+domain, "127.0.1.1")
	s.publish(domain, living(domain, cmp.Or(s.life, 7*24*time.Hour)))
}

// crash kills the daemon and starts it in an environment where it can answer only
// from its file.
func (s *scene) crash(t *testing.T, found []string) {
	t.Helper()
	s.daemon.kill(t)
	s.refuse()
	s.daemon.configure(t, chaosSettings...)
	s.daemon.again(t)
	wantSecure(t, slices.Concat(s.known, found))
	s.daemon.stop(t)
	wantNoWarning(t, s.daemon)
}

// refuse has the resolver refuse all questions until it is connected again.
func (s *scene) refuse() {
	s.zone.Misbehave(resolvertest.EveryName, resolvertest.DNSRcode(dns.RcodeRefused))
}

// storeDue writes a policy file in which the record of every domain is due to
// be asked for again.
func storeDue(t *testing.T, path string, domains []string) {
	t.Helper()
	clk := clock.System()
	st, err := store.Open(path, clk, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	now := clk.Now()
	for _, domain := range domains {
		name, err := mtasts.ParseDomain(domain)
		if err != nil {
			t.Fatal(err)
		}
		enforced, err := mtasts.ParsePolicy(policy("enforce", "mx."+domain))
		if err != nil {
			t.Fatal(err)
		}
		const ago = 2 * time.Hour
		st.Put(store.Entry{Domain: name, ID: knownID, Policy: enforced,
			Fetched: store.Fetched{Wall: time.Now().Add(-ago)}, Used: now, Recheck: now.Add(time.Hour - ago), Next: now.Add(time.Hour)})
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
}
