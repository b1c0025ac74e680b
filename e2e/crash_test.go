package e2e

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// durable is how long after its answer a policy may still be lost.
const durable = time.Second

// TestCrashUnderLoad kills the daemon again and again while clients make it
// discover new domains, and cuts its network before each start. Answers of a
// second before are given again from the file: no lookup waits for the network,
// nothing is fetched twice, and no file is ever corrupt.
func TestCrashUnderLoad(t *testing.T) {
	const rounds, clients = 15, 8
	w := newBareWorld(t)
	r := newRoot(t, bookworm)
	r.onDisk(t)
	d := startDaemonIn(t, w, r, askAuthority, keepPolicies, "log: {level: info}", "answer_timeout: 2s")

	var kept []string // domains whose policies must not be lost
	var took []time.Duration
	for round := range rounds {
		answered, killed := crash(t, w, d, round, clients)
		for domain, at := range answered {
			if killed.Sub(at) >= durable {
				kept = append(kept, domain)
			}
		}
		if len(kept) == 0 {
			t.Fatal("no policy was answered in time: this test has shown nothing")
		}
		wantNoWarning(t, d)

		w.cutOff()
		d.again(t)
		took = append(took, wantSecure(t, kept)...)
		if t.Failed() {
			t.Fatalf("that was crash %d", round+1)
		}
		w.connect()
	}
	d.stop(t)
	wantNoWarning(t, d)
	for _, domain := range kept {
		txt, fetches := w.zone.Queries("_mta-sts."+domain, dns.TypeTXT), w.hosts.Requests(domain)
		if txt != 1 || fetches != 1 {
			t.Errorf("%s: %d TXT queries and %d fetches, want one of each", domain, txt, fetches)
		}
	}

	slices.Sort(took)
	median, slowest := took[len(took)/2], took[len(took)-1]
	t.Logf("%d crashes, %d policies, none lost", rounds, len(kept))
	t.Logf("%d answers after a crash: median %v, slowest %v", len(took), median, slowest)
	if median > 5*time.Millisecond || slowest > 250*time.Millisecond { // recheck_wait is 500 ms
		t.Error("that is more than a look into the file")
	}
}

// crash has clients discover domains of their own until the daemon is killed,
// at a random moment. It returns when each was answered.
func crash(t *testing.T, w *world, d *daemon, round, clients int) (answered map[string]time.Time, killed time.Time) {
	t.Helper()
	answered = make(map[string]time.Time)
	var mu sync.Mutex // guards answered
	var loads sync.WaitGroup
	first := make(chan struct{}) // closed after the first answer
	var once sync.Once
	for n := range clients {
		loads.Go(func() {
			c := newClient()
			defer c.Close()
			for i := 0; ; i++ {
				domain := fmt.Sprintf("d%d-%d-%d.test", round, n, i)
				w.addMX(domain, "mx."+domain, "127.0.1.1")
				w.publish(domain, enforce(domain))
				answer, err := c.Lookup(domain)
				if err != nil {
					return // killed
				}
				if answer != secure(domain) {
					t.Errorf("%s: got %q", domain, answer)
				}
				mu.Lock()
				answered[domain] = time.Now()
				mu.Unlock()
				once.Do(func() { close(first) })
			}
		})
	}
	select {
	case <-first:
	case <-time.After(time.Minute):
		t.Error("no lookup was answered for a minute")
	}
	<-time.After(durable + time.Duration(rand.Int64N(int64(durable))))
	killed = time.Now()
	d.kill(t)
	loads.Wait()
	return answered, killed
}

// wantSecure looks up domains one by one and returns how long each took.
func wantSecure(t *testing.T, domains []string) (took []time.Duration) {
	t.Helper()
	const enough = 5 // each takes up to answer_timeout
	c := newClient()
	defer c.Close()
	wrong := 0
	for _, domain := range domains {
		start := time.Now()
		answer, err := c.Lookup(domain)
		took = append(took, time.Since(start))
		if err != nil || answer != secure(domain) {
			t.Errorf("%s: got %q, %v", domain, answer, err)
			if wrong++; wrong == enough {
				break
			}
		}
	}
	return took
}

func wantNoWarning(t *testing.T, d *daemon) {
	t.Helper()
	if warnings := d.warnings(); len(warnings) > 0 {
		t.Errorf("the daemon warned: %q", warnings)
	}
	if files := d.setAside(t); len(files) > 0 {
		t.Errorf("the daemon has set aside %q", files)
	}
}
