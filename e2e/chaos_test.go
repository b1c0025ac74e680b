package e2e

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/resolvertest"
	"mta-sts-daemon/resolver/store"
)

// What the environment may ask of TestChaos: how long each fault lasts, such
// as 10s, and a file for its table.
const (
	envChaos      = "CHAOS"
	envChaosTable = "CHAOS_TABLE"
)

// fault is something that breaks around a daemon while it runs.
type fault struct {
	name     string
	settings []string                     // of the daemon
	env      []string                     // of the daemon
	blinds   bool                         // no domain that is new can be discovered
	before   func(t *testing.T, s *scene) // prepares what the daemon starts in; may be nil
	strike   func(t *testing.T, s *scene) (mend func())
}

// scene is where a fault strikes: a daemon that has policies in memory, others
// only on disk, and those must be rechecked at their first lookup.
type scene struct {
	*world
	root   *root
	daemon *daemon
	known  []string
}

const (
	knownDomains = 200
	knownID      = "20260101" // which publish publishes

	tooLate  = time.Second            // recheck_wait is 500 ms
	recovery = 300 * time.Millisecond // that the load goes on after a fault
)

// chaosSettings make what takes long in the world outside take less here.
var chaosSettings = []string{
	fmt.Sprintf("dns: {servers: [%q], dane: off, timeout: 1s}", authorityAddr),
	fmt.Sprintf("fetch: {ca_file: %q, allow_networks: [127.0.0.0/8], timeout: 2s}", daemonCAFile),
	"answer_timeout: 500ms", "log: {level: info}", keepPolicies, watched,
}

// TestChaos lets the world around the daemon break in one way after the other.
// Meanwhile every domain known is answered rightly, afterwards the daemon
// discovers again and holds no more than before; and a SIGKILL then shows that
// no policy which was answered is lost. What it costs is in a table.
func TestChaos(t *testing.T) {
	lasts := time.Second
	if text := os.Getenv(envChaos); text != "" {
		var err error
		if lasts, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	table := []string{
		"| fault | lookups | lost | median | 99 % | slowest | new domains found | memory, MiB | goroutines | descriptors |",
		"|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
	}
	for _, f := range slices.Concat(dnsFaults(), publisherFaults(), diskFaults(), clientFaults(), limitFaults()) {
		t.Run(f.name, func(t *testing.T) { table = append(table, f.run(t, lasts)) })
	}
	text := strings.Join(table, "\n") + "\n"
	t.Log("\n" + text)
	if name := os.Getenv(envChaosTable); name != "" {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Error(err)
		}
	}
}

// run returns a row of the table.
func (f fault) run(t *testing.T, lasts time.Duration) string {
	s := newScene(t, f)
	wantSecure(t, s.known[:knownDomains/2])
	before, err := s.daemon.holdings()
	if err != nil {
		t.Fatal(err)
	}
	load := startProbes(4, 5*time.Millisecond, func(i int) question {
		domain := s.known[i%len(s.known)]
		return question{domain, secure(domain)}
	})
	unknown := s.startNewcomers(t)

	mend := f.strike(t, s)
	most := s.daemon.watch(lasts).most(before)
	mend()
	most = s.daemon.watch(recovery).most(most)
	asked, found := unknown.end()
	lookups := load.end()
	if len(lookups.lost) > 0 {
		t.Errorf("%d of %d lookups were lost, the first: %s", len(lookups.lost), len(lookups.lost)+len(lookups.took), lookups.lost[0])
	}
	if f.blinds && len(found) == asked {
		t.Errorf("all %d new domains were found: this fault has shown nothing", asked)
	}
	if late := lookups.quantile(0.99); late > tooLate {
		t.Errorf("one lookup in a hundred took %v or more", late)
	}

	s.open("after.test")
	wantAnswer(t, "after.test", secure("after.test"))
	durably := time.After(durable)
	after := s.daemon.awaitBack(t, before)
	<-durably
	s.crash(t, append(found, "after.test"))

	each := func(of func(holdings) string) string {
		return fmt.Sprintf("%s → %s → %s", of(before), of(most), of(after))
	}
	return fmt.Sprintf("| %s | %d | %d | %s | %d of %d | %s | %s | %s |", f.name, len(lookups.took), len(lookups.lost),
		times(lookups), len(found), asked,
		each(func(h holdings) string { return fmt.Sprintf("%.1f", float64(h.memory)/(1<<20)) }),
		each(func(h holdings) string { return fmt.Sprint(h.goroutines) }),
		each(func(h holdings) string { return fmt.Sprint(h.descriptors) }))
}

// newScene starts a daemon that knows the policies of knownDomains.
func newScene(t *testing.T, f fault) *scene {
	t.Helper()
	s := &scene{world: newBareWorld(t), root: newRoot(t, bookworm)}
	if f.before != nil {
		f.before(t, s)
	}
	for i := range knownDomains {
		domain := fmt.Sprintf("k%d.test", i)
		s.open(domain)
		s.known = append(s.known, domain)
	}
	storeDue(t, filepath.Join(s.root.dir, policyFile), s.known)
	s.daemon = startDaemonIn(t, s.world, s.root, slices.Concat(chaosSettings, f.settings)...)
	if len(f.env) > 0 {
		s.daemon.stop(t)
		serve := s.root.command(daemonPath, "serve", "--config", daemonConfig)
		serve.Env = append(serve.Env, f.env...)
		s.daemon.process = startProcess(t, serve)
		s.daemon.awaitSaid(t, saysReady, 1)
	}
	return s
}

// open makes a domain that publishes a policy.
func (s *scene) open(domain string) {
	s.addMX(domain, "mx."+domain, "127.0.1.1")
	s.publish(domain, enforce(domain))
}

// crash kills the daemon, and starts it where it must answer from its file.
func (s *scene) crash(t *testing.T, found []string) {
	t.Helper()
	s.daemon.kill(t)
	s.zone.Misbehave(resolvertest.EveryName, resolvertest.DNSRcode(dns.RcodeRefused))
	s.daemon.configure(t, chaosSettings...)
	s.daemon.again(t)
	wantSecure(t, slices.Concat(s.known, found))
	s.daemon.stop(t)
	wantNoWarning(t, s.daemon)
}

// storeDue writes a policy file in which the record of every domain is due to
// be asked for again.
func storeDue(t *testing.T, path string, domains []string) {
	t.Helper()
	st, err := store.Open(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for _, domain := range domains {
		name, err := mtasts.ParseDomain(domain)
		if err != nil {
			t.Fatal(err)
		}
		enforced, err := mtasts.ParsePolicy(policy("enforce", "mx."+domain))
		if err != nil {
			t.Fatal(err)
		}
		fetched := now.Add(-2 * time.Hour)
		st.Put(store.Entry{Domain: name, ID: knownID, Policy: enforced,
			Fetched: fetched, Used: now, Recheck: fetched.Add(time.Hour), Next: now.Add(time.Hour)})
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
}
