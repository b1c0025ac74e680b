package e2e

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"mta-sts-daemon/e2e/internal/mapclient"
	"mta-sts-daemon/resolver/resolvertest"
)

// envSoak is how long TestSoak is to run, such as 1h.
const envSoak = "SOAK"

// Actions of the soak test per second: less than a tenth of a core in all.
const (
	soakKnown  = 200 // domains, refreshed every minute
	soakLife   = 2 * time.Minute
	soakHits   = 4 * 50 // lookups of them
	soakNew    = 2      // domains never seen before, with a policy
	soakAbsent = 5      // and without
)

// soakGrowth is the tolerated growth of memory by garbage, in bytes.
const soakGrowth = 4 << 20

// soakMemory makes the windows in memory so small that they are full before the
// second third of the test begins.
const soakMemory = `cache: {file: "` + policyFile + `", entries: 500, negative_entries: 500}`

// controlled is the setting for a daemon that takes commands.
const controlled = `admin: {socket: "/run/mta-sts-admin.sock"}`

// How often, in the whole time, the soak test looks, reports, reloads, and how
// often it restarts the daemon in the last third.
const (
	soakLooks    = 144
	soakReports  = 12
	soakReloads  = 72
	soakRestarts = 10
)

// TestSoak runs the daemon under a mixed load for the time in SOAK: hits, new
// domains, absences, refreshes and reloads, and restarts in the last third, every
// other one by SIGKILL. Without restarts it must use no more resources in the
// second third than at the end of the first third.
func TestSoak(t *testing.T) {
	lasts := os.Getenv(envSoak)
	if lasts == "" {
		t.Skip("runs only when asked: make soak SOAK=1h")
	}
	total, err := time.ParseDuration(lasts)
	if err != nil {
		t.Fatal(err)
	}
	w := newBareWorld(t)
	s := &soak{w: w, total: total, start: time.Now()}
	for i := range soakKnown {
		domain := fmt.Sprintf("k%d.test", i)
		w.addMX(domain, "mx."+domain, "127.0.1.1")
		w.publish(domain, living(domain, soakLife))
		s.known = append(s.known, domain)
	}
	r := newRoot(t, bookworm)
	r.onDisk(t)
	s.daemon = startDaemonIn(t, w, r, askAuthority, watched, controlled, soakMemory, "log: {level: info}")

	s.load()
	t.Log("| after | lookups | lost | median | 99 % | slowest | memory | goroutines | descriptors |")
	s.run(t, total/3)
	filled := s.takeLooks()
	s.run(t, total/3)
	flat := s.takeLooks()
	if early, late := median(filled[len(filled)/2:]), median(flat[len(flat)/2:]); !late.back(early) || late.memory > early.memory+soakGrowth {
		t.Errorf("the daemon held %v and later %v", early, late)
	} else {
		t.Logf("held after a third: %v; after two thirds: %v", early, late)
	}
	for i := range soakRestarts {
		s.restart(t, i%2 == 0)
		s.run(t, total/3/soakRestarts)
	}
	s.report(t)
	s.end(t)
	wantNoWarning(t, s.daemon)
	s.daemon.stop(t)
	t.Logf("%d fetches for %d domains; %d policies on disk; %d restarts cut off %d lookups, and %d found no daemon",
		fetches(w, s.known), soakKnown, s.stored, soakRestarts, s.cut, s.refused)
}

// soak is a run of TestSoak.
type soak struct {
	w            *world
	daemon       *daemon
	known        []string
	total        time.Duration
	start        time.Time
	reported     time.Time
	reloaded     time.Time
	hits         *mapclient.Load
	fresh, nones *mapclient.Load
	tally        mapclient.Tally // since it was reported
	cut          int             // lookups under way when the daemon was killed
	refused      int             // while no daemon ran
	looks        []holdings
	stored       int
}

// load begins all three kinds of lookups.
func (s *soak) load() {
	const clients = 4
	s.hits = startLoad(clients, clients*time.Second/soakHits, func(i int) mapclient.Question { return questionOf(s.known[i%len(s.known)]) })
	s.fresh = startLoad(1, time.Second/soakNew, func(i int) mapclient.Question {
		domain := fmt.Sprintf("n%d.test", i)
		s.w.addMX(domain, "mx."+domain, "127.0.1.1")
		s.w.publish(domain, enforce(domain))
		return questionOf(domain)
	})
	s.nones = startLoad(1, time.Second/soakAbsent, func(i int) mapclient.Question {
		return mapclient.Question{Key: fmt.Sprintf("absent%d.test", i), Want: notKnown}
	})
	s.reported, s.reloaded = time.Now(), time.Now()
}

// run lets the load go on for so long, looks at the daemon, and reloads.
func (s *soak) run(t *testing.T, lasts time.Duration) {
	t.Helper()
	end := time.After(lasts)
	look := time.NewTicker(s.total / soakLooks)
	defer look.Stop()
	for {
		select {
		case <-look.C:
		case <-end:
			return
		}
		if h, err := s.daemon.holdings(); err != nil {
			t.Error(err)
		} else {
			s.looks = append(s.looks, h)
		}
		if time.Since(s.reported) >= s.total/soakReports {
			s.report(t)
		}
		if time.Since(s.reloaded) >= s.total/soakReloads {
			run(t, s.daemon.root.command(daemonPath, "reload", "--config", daemonConfig))
			s.reloaded = time.Now()
		}
	}
}

// restart ends the daemon and starts it again while the load goes on.
func (s *soak) restart(t *testing.T, crash bool) {
	t.Helper()
	wantNoWarning(t, s.daemon)
	if !crash {
		s.daemon.stop(t)
		s.daemon.again(t)
		return
	}
	s.gather()
	before := len(s.tally.Lost)
	s.daemon.kill(t)
	s.daemon.again(t)
	s.gather()
	s.cut += len(s.tally.Lost) - before
	s.tally.Lost = s.tally.Lost[:before]
}

// gather adds up the results of all lookups.
func (s *soak) gather() {
	for _, p := range []*mapclient.Load{s.hits, s.fresh, s.nones} {
		s.tally.Add(p.Take())
	}
}

// report logs a row about the time since the last.
func (s *soak) report(t *testing.T) {
	t.Helper()
	s.gather()
	all := s.tally
	s.tally = mapclient.Tally{}
	h, err := s.daemon.holdings()
	if err != nil {
		t.Error(err)
	}
	t.Logf("| %v | %d | %d | %s | %s | %d | %d |", time.Since(s.start).Round(time.Second), len(all.Took), len(all.Lost),
		times(all), mebibytes(h.memory), h.goroutines, h.descriptors)
	s.refused += all.Refused
	if len(all.Lost) > 0 {
		t.Errorf("%d lookups were lost, the first: %s", len(all.Lost), all.Lost[0])
	}
	s.reported = time.Now()
}

// end stops the load.
func (s *soak) end(t *testing.T) {
	t.Helper()
	stored, err := metric("mta_sts_policies_stored")
	if err != nil {
		t.Error(err)
	}
	s.stored = int(stored)
	for _, p := range []*mapclient.Load{s.hits, s.fresh, s.nones} {
		if l := p.End(); len(l.Lost) > 0 {
			t.Errorf("at the end %d lookups were lost, the first: %s", len(l.Lost), l.Lost[0])
		}
	}
}

func (s *soak) takeLooks() []holdings {
	taken := s.looks
	s.looks = nil
	return taken
}

// living is enforce with another max_age.
func living(domain string, life time.Duration) resolvertest.Behaviour {
	text := strings.Replace(policy("enforce", "mx."+domain), "max_age: 604800", fmt.Sprintf("max_age: %d", int(life.Seconds())), 1)
	return resolvertest.HostPolicy(text)
}

// median is that of each.
func median(looks []holdings) holdings {
	if len(looks) == 0 {
		return holdings{}
	}
	half := func(of func(holdings) int64) int64 {
		var all []int64
		for _, h := range looks {
			all = append(all, of(h))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	return holdings{
		memory:      half(func(h holdings) int64 { return h.memory }),
		goroutines:  int(half(func(h holdings) int64 { return int64(h.goroutines) })),
		descriptors: int(half(func(h holdings) int64 { return int64(h.descriptors) })),
	}
}
