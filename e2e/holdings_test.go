package e2e

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"
)

// holdings are the resources of a process. If it leaks, they grow.
type holdings struct {
	memory      int64 // bytes, without mapped files
	threads     int
	goroutines  int // of our daemon alone, which tells them
	descriptors int
}

// holdings reads the daemon's resources. It fails if the daemon does not report
// its goroutines soon, for example without free descriptors.
func (d *daemon) holdings() (holdings, error) {
	h, err := d.process.holdings()
	if err != nil {
		return holdings{}, err
	}
	goroutines, err := metric("go_goroutines")
	h.goroutines = int(goroutines)
	return h, err
}

// holdings are those that the kernel tells of any process.
func (p *process) holdings() (h holdings, err error) {
	proc := fmt.Sprintf("/proc/%d", p.pid())
	descriptors, err := os.ReadDir(proc + "/fd")
	if err != nil {
		return holdings{}, err
	}
	status, err := os.ReadFile(proc + "/status") // proc_pid_status(5)
	if err != nil {
		return holdings{}, err
	}
	var kibibytes int64
	for name, value := range map[string]any{"RssAnon:": &kibibytes, "Threads:": &h.threads} {
		_, rest, _ := strings.Cut(string(status), name)
		if _, err := fmt.Sscan(rest, value); err != nil {
			return holdings{}, fmt.Errorf("%s in %s/status: %w", name, proc, err)
		}
	}
	h.memory, h.descriptors = kibibytes<<10, len(descriptors)
	return h, nil
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
	moreMemory      = 64 << 20 // bytes: the garbage that the daemon allows, and memory that Go keeps after many connections
	moreGoroutines  = 5
	moreDescriptors = 5
)

// back reports whether h is about as low as before.
func (h holdings) back(before holdings) bool {
	return h.memory <= before.memory+moreMemory &&
		h.goroutines <= before.goroutines+moreGoroutines &&
		h.descriptors <= before.descriptors+moreDescriptors
}

// most is the larger of each.
func (h holdings) most(other holdings) holdings {
	return holdings{
		memory:      max(h.memory, other.memory),
		threads:     max(h.threads, other.threads),
		goroutines:  max(h.goroutines, other.goroutines),
		descriptors: max(h.descriptors, other.descriptors),
	}
}

// awaitBack waits until p uses no more resources than before, and returns them.
// After tooLong it returns an error with both.
func awaitBack(p program, before holdings, tooLong time.Duration) (after holdings, err error) {
	end := time.After(tooLong)
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		after, err := p.holdings()
		if err == nil && after.back(before) {
			return after, nil
		}
		select {
		case <-again.C:
		case <-end:
			return after, fmt.Errorf("held before: %v; now: %v, %v", before, after, err)
		}
	}
}

func (h holdings) String() string {
	return fmt.Sprintf("%s, %d threads, %d goroutines, %d descriptors", mebibytes(h.memory), h.threads, h.goroutines, h.descriptors)
}

func mebibytes(octets int64) string { return fmt.Sprintf("%.1f MiB", float64(octets)/(1<<20)) }

// watch samples p for a while and returns the maximum of each resource, without
// values that could not be read.
func watch(p program, lasts time.Duration) (most holdings) {
	end := time.After(lasts)
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		if h, err := p.holdings(); err == nil {
			most = most.most(h)
		}
		select {
		case <-again.C:
		case <-end:
			return most
		}
	}
}
