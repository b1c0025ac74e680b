package e2e

import (
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mta-sts-daemon/e2e/internal/peers"
)

// envPeers names a list of other daemons, as "make bench" takes.
const envPeers = "CHAOS_PEERS"

// TestChaosPeers applies the faults of TestChaos, and some more, to peers, and to
// our daemon under the same conditions: with its defaults, every policy known
// because it was asked for once. The losses of a peer are in the table only.
func TestChaosPeers(t *testing.T) {
	list := os.Getenv(envPeers)
	if list == "" {
		t.Skip("runs only when asked: CHAOS_PEERS=peers.yaml, a list as make bench takes")
	}
	needWorld(t)
	programs := append([]peers.Server{ourselves()}, readPeers(t, list)...)
	lasts := chaosLasts(t)
	useResolver(t)
	table := []string{
		"| fault | program | lookups | lost | refused | median | 99 % | slowest | new domains found | the next one | memory, MiB | threads | descriptors |",
		"|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
	}
	for _, f := range append(faults(), peerFaults()...) {
		t.Run(f.name, func(t *testing.T) {
			if f.onlyOurs != "" {
				table = append(table, fmt.Sprintf("| %s | — %s |", f.name, f.onlyOurs))
				t.Skip(f.onlyOurs)
			}
			for _, c := range programs {
				t.Run(c.Name, func(t *testing.T) { table = append(table, f.runPeer(t, c, lasts)) })
			}
		})
	}
	showChaos(t, table)
}

// runPeer strikes a peer and returns a row of the table.
func (f fault) runPeer(t *testing.T, c peers.Server, lasts time.Duration) string {
	s := f.prepare(t, peerResolver)
	if !f.unbound {
		s.serveZone(t)
	}
	s.program = startPeer(t, s, c, f.env...)
	o := f.observe(t, s, lasts)
	s.connect()
	next := s.next()
	after, err := awaitBack(s, o.before, peerAnswers)
	if err != nil {
		t.Log(err)
	}
	for _, lost := range o.lookups.Lost[:min(3, len(o.lookups.Lost))] {
		t.Logf("lost: %s", lost)
	}
	each := func(of func(holdings) string) string { return o.cell(after, of) }
	return fmt.Sprintf("| %s | %s | %d | %d | %d | %s | %d of %d | %s | %s | %s | %s |", f.name, c.Name,
		len(o.lookups.Took), len(o.lookups.Lost), o.lookups.Refused, times(o.lookups), len(o.found), o.asked, next,
		each(holdings.memoryCell),
		each(func(h holdings) string { return fmt.Sprint(h.threads) }),
		each(func(h holdings) string { return fmt.Sprint(h.descriptors) }))
}

// next asks for a new domain after the fault, and returns how long the answer
// took, or the error.
func (s *scene) next() string {
	const domain = "after.test"
	s.open(domain)
	c := s.client()
	defer c.Close()
	start := time.Now()
	switch answer, err := c.Lookup(domain); {
	case err != nil:
		return "no answer"
	case answer != secure(domain):
		status, _, _ := strings.Cut(answer, " ")
		return status
	default:
		return fmt.Sprintf("%d ms", time.Since(start).Milliseconds())
	}
}

// floodPolicies are how many further policies the program learns in a flood.
const floodPolicies = 50_500

// peerFaults are those that tell programs apart. The daemon's own tests have
// them elsewhere and in more detail.
func peerFaults() []fault {
	return []fault{
		{
			name: "512 clients never write",
			strike: func(t *testing.T, s *scene) func() {
				return openMany(t, s, 512, func(*net.TCPConn) {})
			},
		},
		{
			name:  "SIGKILL and no resolver from then on",
			prime: func(*testing.T, *scene) { <-time.After(durable) },
			strike: func(t *testing.T, s *scene) func() {
				s.kill(t)
				s.refuse()
				s.again(t)
				return func() {}
			},
		},
		{
			name:  fmt.Sprintf("%d further policies and no resolver from then on", floodPolicies),
			prime: flood,
			strike: func(_ *testing.T, s *scene) func() {
				s.refuse()
				return func() {}
			},
		},
		{
			name:   "policies live 3 s",
			life:   3 * time.Second,
			strike: func(*testing.T, *scene) func() { return func() {} },
		},
	}
}

// flood has the program learn many policies, while nobody asks for those that
// it knows.
func flood(t *testing.T, s *scene) {
	t.Helper()
	const clients = 32
	start := time.Now()
	var asked, missed atomic.Int32
	var asking sync.WaitGroup
	for range clients {
		asking.Go(func() {
			c := s.client()
			defer c.Close()
			for i := asked.Add(1); i <= floodPolicies; i = asked.Add(1) {
				domain := fmt.Sprintf("f%d.test", i)
				s.open(domain)
				if answer, err := c.Lookup(domain); err != nil || answer != secure(domain) {
					missed.Add(1)
				}
			}
		})
	}
	asking.Wait()
	t.Logf("%d policies in %v, without %d", floodPolicies, time.Since(start).Round(time.Second), missed.Load())
}
