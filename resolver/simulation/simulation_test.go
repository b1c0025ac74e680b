package simulation

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var (
	seeds  = flag.Uint64("seeds", 4, "how many histories")
	period = flag.Duration("for", 0, "as many histories as this takes, instead of a number")
	first  = flag.Uint64("first", 1, "the first seed")
	seed   = flag.Uint64("seed", 0, "replay this seed 20 times and print every event")
	length = flag.Duration("length", 24*time.Hour, "how much time a history takes")
	stop   = flag.Bool("stop", false, "end with the first history that fails")
	shrink = flag.Bool("shrink", true, "make a history that fails shorter")
)

// TestSimulation runs a history for each seed.
func TestSimulation(t *testing.T) {
	if *seed != 0 {
		replay(t)
		return
	}
	var next atomic.Uint64
	var played, simulated atomic.Int64
	next.Store(*first - 1)
	begun := time.Now()
	over := func(s uint64) bool {
		if *period > 0 {
			return time.Since(begun) >= *period
		}
		return s >= *first+*seeds
	}
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for {
				s := next.Add(1)
				if over(s) || *stop && t.Failed() {
					return
				}
				history := draw(s, *length)
				violations, _, took := run(t, history, false)
				played.Add(1)
				simulated.Add(int64(took))
				if len(violations) == 0 {
					continue
				}
				t.Errorf("seed %d: %s\n%s\nreplay: make simulate SEED=%d LENGTH=%v", s, violations[0], shorter(t, history, violations[0]), s, *length)
			}
		})
	}
	wg.Wait()
	t.Logf("%d histories from seed %d on, %.0f days in %v", played.Load(), *first, time.Duration(simulated.Load()).Hours()/24, time.Since(begun).Round(time.Second))
}

// TestFindings replays the histories of faults that the simulation found.
func TestFindings(t *testing.T) {
	files, err := filepath.Glob("testdata/*.history")
	if err != nil || len(files) == 0 {
		t.Fatal("no histories: ", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			history := read(t, file)
			for range 2 { // the runtime schedules otherwise each time
				if violations, _, _ := run(t, history, false); len(violations) > 0 {
					t.Fatal(violations[0])
				}
			}
		})
	}
}

// read reads a history, one event a line; lines that begin with # explain it.
func read(t *testing.T, file string) (history []happening) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		h, err := parse(line)
		if err != nil {
			t.Fatal(err)
		}
		history = append(history, h)
	}
	return history
}

// replay runs one seed again and again, and prints the first run that fails, else the last.
func replay(t *testing.T) {
	history := draw(*seed, *length)
	for i := range 20 {
		violations, log, _ := run(t, history, true)
		if len(violations) > 0 || i == 19 {
			fmt.Println(strings.Join(log, "\n"))
		}
		if len(violations) > 0 {
			t.Fatalf("run %d: %s", i+1, violations[0])
		}
	}
}

// run plays a history in fake time.
func run(t *testing.T, history []happening, verbose bool) (violations, log []string, took time.Duration) {
	dir, err := os.MkdirTemp(scratch(), "simulation")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	limit := time.Minute // a second is much for a day
	for _, h := range history {
		limit += h.gap / 1000
	}
	defer time.AfterFunc(limit, func() { panic(fmt.Sprintf("time does not pass in this history: %v", history)) }).Stop()
	synctest.Test(t, func(*testing.T) { violations, log, took = play(history, dir, verbose) })
	return violations, log, took
}

// scratch is where policy files are: in memory, if the system has such a directory.
func scratch() string {
	const memory = "/dev/shm"
	if info, err := os.Stat(memory); err == nil && info.IsDir() {
		return memory
	}
	return ""
}

// shorter leaves out events as long as the history still fails, and prints the
// rest.
func shorter(t *testing.T, history []happening, found string) string {
	if !*shrink {
		return ""
	}
	fails := func(h []happening) bool {
		for range 3 {
			if violations, _, _ := run(t, h, false); len(violations) > 0 && rule(violations[0]) == rule(found) {
				return true
			}
		}
		return false
	}
	for size := len(history) / 2; size > 0; size /= 2 {
		for at := 1; at < len(history); { // the first event makes the world
			end := min(at+size, len(history))
			if h := without(history, at, end); fails(h) {
				history = h
			} else {
				at = end
			}
		}
	}
	var lines []string
	for _, h := range history {
		lines = append(lines, h.String())
	}
	lines = append(lines, "what happened:")
	for range 20 {
		if violations, log, _ := run(t, history, true); len(violations) > 0 && rule(violations[0]) == rule(found) {
			return strings.Join(append(lines, log[max(0, len(log)-80):]...), "\n")
		}
	}
	return strings.Join(append(lines, "not seen again in 20 runs"), "\n")
}

// rule returns what violations of one rule have in common.
func rule(violation string) string {
	_, text, _ := strings.Cut(violation, ": ")
	if _, after, ok := strings.Cut(text, ".example: "); ok {
		text = after
	}
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, text[:min(len(text), 30)])
}

// without leaves out events; the time that they took still passes.
func without(history []happening, from, to int) []happening {
	out := append([]happening{}, history[:from]...)
	var gap time.Duration
	for _, h := range history[from:to] {
		gap += h.gap
	}
	rest := append([]happening{}, history[to:]...)
	if len(rest) > 0 {
		rest[0].gap += gap
	}
	return append(out, rest...)
}
