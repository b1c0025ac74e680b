package store

import (
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// manyEnv asks BenchmarkOpen for the sizes that take long and much disk.
const manyEnv = "STORE_MANY"

// fill makes a policy file of so many entries.
func fill(b *testing.B, entries int) string {
	b.Helper()
	path := filename(b)
	s := open(b, path, slog.New(slog.DiscardHandler))
	for n := range entries {
		e := numbered(b, n)
		e.Next = at(24*time.Hour + time.Duration(n)*100*time.Millisecond)
		if n%(entries/10) == 0 {
			e.Next = present // ten are due
		}
		s.Put(e)
		if n%maxBatch == maxBatch-1 {
			if err := s.Flush(); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	return path
}

// BenchmarkOpen measures a restart: from Open to the first entry read. It
// also reports the file's size, the anonymous memory that the store takes once its
// background check is done, how long that check takes and what ten due entries
// cost. STORE_MANY=1000000 adds that many entries.
func BenchmarkOpen(b *testing.B) {
	sizes := []int{10_000, 100_000}
	if many, err := strconv.Atoi(os.Getenv(manyEnv)); err == nil {
		sizes = append(sizes, many)
	}
	for _, entries := range sizes {
		b.Run(strconv.Itoa(entries), func(b *testing.B) {
			path := fill(b, entries)
			info, err := os.Stat(path)
			if err != nil {
				b.Fatal(err)
			}
			e := numbered(b, entries/2)
			var check, dueTime time.Duration
			var peak int
			for b.Loop() {
				s, err := Open(path, machine().Clock(), slog.New(slog.DiscardHandler))
				if err != nil {
					b.Fatal(err)
				}
				if _, ok := s.Get(e.Domain); !ok {
					b.Fatal("the entry is gone")
				}
				b.StopTimer()
				began := time.Now()
				s.checks.Wait()
				check = time.Since(began)
				peak = rssAnon(b)
				began = time.Now()
				if n := len(due(s, present)); n != 10 {
					b.Fatalf("%d entries due, want 10", n)
				}
				dueTime = time.Since(began)
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			b.ReportMetric(float64(info.Size())/float64(entries), "file-B/entry")
			b.ReportMetric(float64(info.Size())/1e6, "file-MB")
			b.ReportMetric(float64(peak)/1e3, "RssAnon-MB")
			b.ReportMetric(float64(check.Milliseconds()), "check-ms")
			b.ReportMetric(float64(dueTime.Microseconds()), "due-us")
		})
	}
}

// rssAnon is the process's anonymous memory in kB; the mapped file is the
// kernel's to drop.
func rssAnon(b *testing.B) (kB int) {
	b.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip("no /proc to read the memory from: ", err)
	}
	_, rest, _ := strings.Cut(string(status), "RssAnon:")
	if _, err := fmt.Sscan(rest, &kB); err != nil {
		b.Fatal(err)
	}
	return kB
}

func BenchmarkGet(b *testing.B) {
	const entries = 100_000
	path := fill(b, entries)
	s := open(b, path, slog.New(slog.DiscardHandler))
	s.checks.Wait()
	e := numbered(b, entries/2)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := s.Get(e.Domain); !ok {
			b.Fatal("the entry is gone")
		}
	}
}

// BenchmarkPut measures a burst of 1,000 entries until they are on disk.
func BenchmarkPut(b *testing.B) {
	s := open(b, filename(b), slog.New(slog.DiscardHandler))
	var burst []Entry
	for n := range 1000 {
		burst = append(burst, numbered(b, n))
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, e := range burst {
			s.Put(e)
		}
		if err := s.Flush(); err != nil {
			b.Fatal(err)
		}
	}
}
