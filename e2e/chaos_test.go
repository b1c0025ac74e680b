package e2e

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"mta-sts-daemon/e2e/internal/mapclient"
)

// Environment variables for TestChaos: the duration of each fault, such as 10s,
// and a file for its table.
const (
	envChaos      = "CHAOS"
	envChaosTable = "CHAOS_TABLE"
)

// fault is something that breaks around a program while it runs.
type fault struct {
	name     string
	onlyOurs string                       // why no peer can stand in the daemon's place; empty: one can
	settings []string                     // of the daemon
	env      []string                     // of the program
	blinds   bool                         // no domain that is new can be discovered
	unbound  bool                         // a resolver that remembers stands before the authority
	life     time.Duration                // of policies; 0: a week
	before   func(t *testing.T, s *scene) // prepares the environment before the program starts; may be nil
	prime    func(t *testing.T, s *scene) // runs before the load; may be nil
	strike   func(t *testing.T, s *scene) (mend func())
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

// faults are all of TestChaos.
func faults() []fault {
	return slices.Concat(dnsFaults(), publisherFaults(), diskFaults(), clientFaults(), limitFaults())
}

// TestChaos breaks the daemon's environment in one way after the other. During
// each fault every known domain is answered correctly. After it the daemon
// discovers again and uses no more resources than before; a SIGKILL then shows
// that no answered policy is lost. The table has the effect on lookups.
func TestChaos(t *testing.T) {
	lasts := chaosLasts(t)
	table := []string{
		"| fault | lookups | lost | median | 99 % | slowest | new domains found | memory, MiB | goroutines | descriptors |",
		"|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
	}
	for _, f := range faults() {
		t.Run(f.name, func(t *testing.T) { table = append(table, f.run(t, lasts)) })
	}
	showChaos(t, table)
}

// chaosLasts is how long each fault lasts.
func chaosLasts(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv(envChaos)
	if text == "" {
		return time.Second
	}
	lasts, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return lasts
}

func showChaos(t *testing.T, table []string) {
	t.Helper()
	text := strings.Join(table, "\n") + "\n"
	t.Log("\n" + text)
	if name := os.Getenv(envChaosTable); name != "" {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Error(err)
		}
	}
}

// run strikes our daemon and returns a row of the table.
func (f fault) run(t *testing.T, lasts time.Duration) string {
	s := newScene(t, f)
	wantSecure(t, s.known[:knownDomains/2])
	o := f.observe(t, s, lasts)
	if len(o.lookups.Lost) > 0 {
		t.Errorf("%d of %d lookups were lost, the first: %s", len(o.lookups.Lost), len(o.lookups.Lost)+len(o.lookups.Took), o.lookups.Lost[0])
	}
	if f.blinds && len(o.found) == o.asked {
		t.Errorf("all %d new domains were found: this fault has shown nothing", o.asked)
	}
	if late := o.lookups.Quantile(0.99); late > tooLate {
		t.Errorf("one lookup in a hundred took %v or more", late)
	}

	s.open("after.test")
	// After an outage of the DNS, within a second: answer_timeout is shorter here.
	awaitAnswer(t, "after.test", secure("after.test"))
	durably := time.After(durable)
	after, err := awaitBack(s, o.before, patience)
	if err != nil {
		t.Error(err)
	}
	<-durably
	s.crash(t, append(o.found, "after.test"))

	each := func(of func(holdings) string) string { return o.cell(after, of) }
	return fmt.Sprintf("| %s | %d | %d | %s | %d of %d | %s | %s | %s |", f.name, len(o.lookups.Took), len(o.lookups.Lost),
		times(o.lookups), len(o.found), o.asked, each(holdings.memoryCell),
		each(func(h holdings) string { return fmt.Sprint(h.goroutines) }),
		each(func(h holdings) string { return fmt.Sprint(h.descriptors) }))
}

// observed has the effects of a fault.
type observed struct {
	lookups      mapclient.Tally // of domains known
	asked        int             // new domains
	found        []string        // those answered with their policy
	before, most holdings
}

// observe has the fault strike while clients ask.
func (f fault) observe(t *testing.T, s *scene, lasts time.Duration) (o observed) {
	t.Helper()
	var err error
	if o.before, err = s.holdings(); err != nil {
		t.Fatal(err)
	}
	if f.prime != nil {
		f.prime(t, s)
	}
	load := mapclient.Start(4, 5*time.Millisecond, s.client, func(i int) mapclient.Question { return questionOf(s.known[i%len(s.known)]) })
	unknown := s.startNewcomers(t)
	mend := f.strike(t, s)
	o.most = watch(s, lasts).most(o.before)
	mend()
	o.most = watch(s, recovery).most(o.most)
	o.asked, o.found = unknown.end()
	o.lookups = load.End()
	return o
}

// cell shows something held before, most during, and after the fault.
func (o observed) cell(after holdings, of func(holdings) string) string {
	return fmt.Sprintf("%s → %s → %s", of(o.before), of(o.most), of(after))
}

func (h holdings) memoryCell() string { return fmt.Sprintf("%.1f", float64(h.memory)/(1<<20)) }

// times are three cells of a table: median, 99th percentile and the slowest.
func times(l mapclient.Tally) string {
	if len(l.Took) == 0 {
		return "— | — | —"
	}
	var cells [3]string
	for i, q := range []float64{0.5, 0.99, 1} {
		cells[i] = fmt.Sprintf("%.1f ms", l.Quantile(q).Seconds()*1000)
	}
	return strings.Join(cells[:], " | ")
}
