package e2e

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// holdings are what a daemon has taken of the machine. Those of a daemon that
// leaks grow.
type holdings struct {
	memory      int64 // octets, but for the files that it has mapped
	goroutines  int
	descriptors int
}

// holdings reads them. It fails where the daemon does not tell its goroutines
// soon, which one that is out of descriptors cannot.
func (d *daemon) holdings() (holdings, error) {
	proc := fmt.Sprintf("/proc/%d", d.cmd.Process.Pid)
	descriptors, err := os.ReadDir(proc + "/fd")
	if err != nil {
		return holdings{}, err
	}
	h := holdings{descriptors: len(descriptors)}
	if h.memory, err = anonymous(proc); err != nil {
		return holdings{}, err
	}
	goroutines, err := metric("go_goroutines")
	h.goroutines = int(goroutines)
	return h, err
}

// anonymous is RssAnon of proc_pid_status(5).
func anonymous(proc string) (octets int64, err error) {
	status, err := os.ReadFile(proc + "/status")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(status), "RssAnon:")
	if _, err := fmt.Sscan(rest, &octets); err != nil {
		return 0, fmt.Errorf("RssAnon in %s: %w", proc, err)
	}
	return octets << 10, nil
}

// metric asks the daemon for the value of a metric without labels.
func metric(name string) (value float64, err error) {
	ask := http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := ask.Get("http://" + metricsAddr + "/metrics")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			_, err := fmt.Sscan(text, &value)
			return value, err
		}
	}
	return 0, fmt.Errorf("no metric %s", name)
}

// What may be held more after a fault than before it.
const (
	moreMemory      = 64 << 20 // octets: garbage of as much as the daemon allows, and what Go keeps of many connections
	moreGoroutines  = 5
	moreDescriptors = 5
)

// back reports whether h is what it was, or nearly.
func (h holdings) back(before holdings) bool {
	return h.memory <= before.memory+moreMemory &&
		h.goroutines <= before.goroutines+moreGoroutines &&
		h.descriptors <= before.descriptors+moreDescriptors
}

// most is the larger of each.
func (h holdings) most(other holdings) holdings {
	return holdings{max(h.memory, other.memory), max(h.goroutines, other.goroutines), max(h.descriptors, other.descriptors)}
}

// awaitBack waits until the daemon holds no more than it did before, and
// returns what it holds then.
func (d *daemon) awaitBack(t *testing.T, before holdings) (after holdings) {
	t.Helper()
	tooLong := time.After(patience)
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		after, err := d.holdings()
		if err == nil && after.back(before) {
			return after
		}
		select {
		case <-again.C:
		case <-tooLong:
			t.Errorf("the daemon held %v and now %v, %v", before, after, err)
			return after
		}
	}
}

func (h holdings) String() string {
	return fmt.Sprintf("%s, %d goroutines, %d descriptors", mebibytes(h.memory), h.goroutines, h.descriptors)
}

func mebibytes(octets int64) string { return fmt.Sprintf("%.1f MiB", float64(octets)/(1<<20)) }

// watch looks at the daemon for so long and returns the most that it held. What
// cannot be had meanwhile is left out.
func (d *daemon) watch(lasts time.Duration) (most holdings) {
	end := time.After(lasts)
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		if h, err := d.holdings(); err == nil {
			most = most.most(h)
		}
		select {
		case <-again.C:
		case <-end:
			return most
		}
	}
}
