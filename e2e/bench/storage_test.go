package bench

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mta-sts-daemon/e2e/bench/internal/proc"
)

// sizesEnv names how many policies to store, comma-separated.
const sizesEnv = "BENCH_POLICIES"

// memoryEntries is the default of cache.entries.
const memoryEntries = 100_000

// BenchmarkStorage measures the daemon on policy files of different sizes.
//
//	restart  from exec to the first answer, with a recheck of the record
//	cold     the same, without the file in the page cache
//	memory   lookups that fill the cache, and the memory used
//	evict    three times as many, so that most lookups evict another entry
//	monitor  a scrape and a status page
//	busy     lookups of known domains while the daemon works in the background
//	flood    the same while domains without a policy are looked up
func BenchmarkStorage(b *testing.B) {
	for _, policies := range sizes(b) {
		b.Run(fmt.Sprintf("policies=%d", policies), func(b *testing.B) {
			path := fill(b, policies)
			d := newBench(b, path)
			b.Run("restart", func(b *testing.B) {
				d.restarts(b, policies, func() {})
				reportSize(b, path, policies)
			})
			b.Run("cold", func(b *testing.B) {
				d.restarts(b, policies, func() { dropFromPageCache(b, path) })
			})
			b.Run("memory", func(b *testing.B) { d.fillMemory(b, min(policies, memoryEntries)) })
			if policies >= 3*memoryEntries {
				b.Run("evict", func(b *testing.B) { d.fillMemory(b, 3*memoryEntries) })
			}
			b.Run("monitor", func(b *testing.B) { d.monitor(b, min(policies, 1000)) })
			b.Run("busy", func(b *testing.B) { d.background(b, policies) })
			b.Run("flood", func(b *testing.B) { d.flood(b, path, policies) })
		})
	}
}

func sizes(b *testing.B) (sizes []int) {
	list, ok := os.LookupEnv(sizesEnv)
	if !ok {
		return []int{1000}
	}
	for size := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(size)
		if err != nil {
			b.Fatalf("%s: %v", sizesEnv, err)
		}
		sizes = append(sizes, n)
	}
	return sizes
}

// restarts looks up one domain after each start: a read of the file and a
// recheck.
func (d bench) restarts(b *testing.B, policies int, prepare func()) {
	for b.Loop() {
		b.StopTimer()
		prepare()
		n := rand.IntN(policies)
		b.StartTimer()
		cmd := d.start(b)
		d.ask(b, n, n+1)
		b.StopTimer()
		stop(b, cmd)
		b.StartTimer()
	}
	b.ReportMetric(b.Elapsed().Seconds()*1000/float64(b.N), "ms-to-answer")
	b.ReportMetric(0, "ns/op")
}

// fillMemory looks up this many domains, then stops the daemon. It reads the
// daemon's memory at the beginning, after the lookups, and at its maximum during
// lookups and writes.
func (d bench) fillMemory(b *testing.B, lookups int) {
	var began, most, ended, stopping float64
	var took time.Duration
	for b.Loop() {
		cmd := d.start(b)
		began = anonymous(cmd)
		const step = 1000
		for n := 0; n < lookups; n += step {
			d.ask(b, n, min(n+step, lookups))
			most = max(most, anonymous(cmd))
		}
		ended = anonymous(cmd)
		stopped := make(chan struct{})
		go func() {
			start := time.Now()
			stop(b, cmd)
			took = time.Since(start)
			close(stopped)
		}()
		stopping = max(stopping, mostUntil(stopped, cmd))
	}
	b.ReportMetric(began, "MB-started")
	b.ReportMetric(most, "MB-most")
	b.ReportMetric(ended, "MB-filled")
	b.ReportMetric(stopping, "MB-stopping")
	b.ReportMetric(took.Seconds(), "s-to-stop")
	b.ReportMetric(0, "ns/op")
}

// monitor asks a daemon that has answered so many lookups.
func (d bench) monitor(b *testing.B, lookups int) {
	var scraping, page time.Duration // processor time
	var size int
	for b.Loop() {
		cmd := d.start(b)
		d.ask(b, 0, lookups)
		const scrapes = 100
		start := cpuTime(b, cmd)
		for range scrapes {
			d.get(b, "/metrics")
		}
		scraping += (cpuTime(b, cmd) - start) / scrapes
		start = cpuTime(b, cmd)
		size = len(d.get(b, "/"))
		page += cpuTime(b, cmd) - start
		stop(b, cmd)
	}
	b.ReportMetric(scraping.Seconds()*1000/float64(b.N), "cpu-ms-scrape")
	b.ReportMetric(page.Seconds()*1000/float64(b.N), "cpu-ms-page")
	b.ReportMetric(float64(size)/1000, "kB-page")
	b.ReportMetric(0, "ns/op")
}

func cpuTime(b *testing.B, cmd *exec.Cmd) time.Duration {
	b.Helper()
	took, err := proc.CPUTime(cmd.Process.Pid)
	if err != nil {
		b.Fatal(err)
	}
	return took
}

func mostUntil(stopped <-chan struct{}, cmd *exec.Cmd) (most float64) {
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		most = max(most, anonymous(cmd))
		select {
		case <-again.C:
		case <-stopped:
			return most
		}
	}
}

func reportSize(b *testing.B, path string, policies int) {
	size := fileSize(b, path)
	b.ReportMetric(size/1e6, "MB-file")
	b.ReportMetric(size/float64(policies), "B/policy")
}

// dropFromPageCache makes the next reader of the file wait for the disk.
func dropFromPageCache(b *testing.B, path string) {
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		b.Fatal(err)
	}
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		b.Fatal(err)
	}
}
