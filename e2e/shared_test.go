package e2e

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"mta-sts-daemon/e2e/internal/isolated"
)

// sharedFault is something that happens to the shared store while it is used.
type sharedFault struct {
	name   string
	strike func(t *testing.T, s *kvServer) (mend func())
}

// commonFaults are tried with every program.
func commonFaults() []sharedFault {
	return []sharedFault{
		{"nothing", func(*testing.T, *kvServer) func() { return func() {} }},
		{"killed, and started empty", func(t *testing.T, s *kvServer) func() {
			s.kill(t)
			return func() { s.start(t) }
		}},
		{"cut off", func(t *testing.T, s *kvServer) func() {
			s.within.cut(t)
			return func() { s.within.mend(t) }
		}},
	}
}

// otherFaults are tried with one.
func otherFaults() []sharedFault {
	return []sharedFault{
		{"hangs", func(t *testing.T, s *kvServer) func() {
			s.signal(t, syscall.SIGSTOP)
			return func() { s.signal(t, syscall.SIGCONT) }
		}},
		{"flushed", func(t *testing.T, s *kvServer) func() {
			s.do(t, "FLUSHALL")
			return func() {}
		}},
		{"full", func(t *testing.T, s *kvServer) func() {
			s.do(t, "CONFIG", "SET", "maxmemory", "1")
			return func() { s.do(t, "CONFIG", "SET", "maxmemory", "0") }
		}},
		{"holds nonsense", func(t *testing.T, s *kvServer) func() {
			for i := range sharedKnown {
				s.do(t, "SET", fmt.Sprintf("mta-sts:k%d.test", i), "9999999999 1 policy -\nnonsense")
			}
			s.do(t, "PUBLISH", "mta-sts:changes", "k0.test\nnonsense")
			return func() { s.do(t, "FLUSHALL") }
		}},
	}
}

const (
	sharedKnown = 30
	faultLasts  = 1500 * time.Millisecond
)

// TestShared has three daemons share a store, on a server in a network of its
// own, which fails in one way after the other under load. Each lookup is
// answered rightly, in little more time than without it, and when it is over a
// new id and a purge reach every node again.
func TestShared(t *testing.T) {
	for _, p := range kvPrograms() {
		t.Run(p.name(), func(t *testing.T) {
			w := newBareWorld(t)
			p.suite.need(t)
			faults := commonFaults()
			if p.suite == bookworm {
				faults = append(faults, otherFaults()...)
			}
			r := newRoot(t, p.suite)
			s := startKV(t, p, r, layCable(t, r), cableAddr)
			m := newMailers(t, w, []*kvServer{s}, "redis://"+cableAddr, withKey)
			defer m.stop(t)
			m.learn(t, sharedKnown)
			m.wantOnce(t)
			table := newSharedTable()
			for _, f := range faults {
				table.add(m.suffer(t, f.name, func() func() { return f.strike(t, s) }))
			}
			table.log(t, p.name()+", one server")
		})
	}
}

// wantOnce checks that the fleet has discovered each known domain once.
func (m *mailers) wantOnce(t *testing.T) {
	t.Helper()
	if queries, fetches := m.asked(m.known); queries != 1 || fetches != 1 {
		t.Errorf("%.2f TXT queries and %.2f fetches a domain, by all %d nodes together; want 1 and 1", queries, fetches, len(m.nodes))
	}
}

// suffer lets a fault strike under load, and returns a row of the table.
func (m *mailers) suffer(t *testing.T, name string, strike func() (mend func())) []string {
	t.Helper()
	m.restart(t) // nodes leave a store that fails again and again alone for longer
	shared, renewed, purged := m.openKnown(t), m.openKnown(t), m.openKnown(t)
	l := m.startLoad()
	mend := strike()
	<-time.After(faultLasts)
	mend()
	back := m.awaitShared(t, shared)
	l.end(t)
	for _, lost := range [][]string{l.known.Lost, l.new.Lost} {
		if len(lost) > 0 {
			t.Errorf("%s: %d lookups were lost, the first: %s", name, len(lost), lost[0])
		}
	}
	if slowest := l.known.Quantile(1); slowest > tooLate {
		t.Errorf("%s: a known domain's answer took %v", name, slowest)
	}
	m.wantNoOtherWarning(t)
	queries, fetches := m.asked(l.opened)
	return []string{name,
		fmt.Sprintf("%d + %d", len(l.known.Took), len(l.new.Took)),
		fmt.Sprint(len(l.known.Lost) + len(l.new.Lost)),
		inMilliseconds(l.known.Quantile(1)),
		inMilliseconds(l.new.Quantile(1)),
		fmt.Sprintf("%.2f + %.2f", queries, fetches),
		fmt.Sprintf("%.1f s", back.Seconds()),
		inMilliseconds(m.spread(t, "refresh", renewed, "2")),
		inMilliseconds(m.spread(t, "purge", purged, knownID)),
	}
}

func inMilliseconds(d time.Duration) string { return fmt.Sprintf("%.0f ms", d.Seconds()*1000) }

// awaitShared waits until what one node learns of a domain is known to all.
func (m *mailers) awaitShared(t *testing.T, domain string) time.Duration {
	t.Helper()
	want := m.change(domain, "2")
	return isolated.Eventually(t, "the fleet shares again", func() bool {
		run(t, m.nodes[0].command("refresh", domain))
		return m.allAnswer(domain, want)
	})
}
