package store

import (
	"bufio"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"
)

// crashEnv names the file that a child of TestKill writes until it is killed.
const crashEnv = "STORE_CRASH_FILE"

func TestMain(m *testing.M) {
	if path := os.Getenv(crashEnv); path != "" {
		writeUntilKilled(path)
	}
	os.Exit(m.Run())
}

// writeUntilKilled puts entries without end and prints how many of them Flush has
// confirmed.
func writeUntilKilled(path string) {
	s, err := openSized(path, machine().Clock(), slog.New(slog.DiscardHandler), smallSizes())
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	tb := &testing.B{} // for numbered, which cannot fail
	for n := s.Len(); ; {
		for range 10 {
			s.Put(numbered(tb, n))
			n++
		}
		s.Put(numbered(tb, n)) // not flushed: may be lost, must not be torn
		if err := s.Flush(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(n)
	}
}

// A daemon may be killed at any moment, again and again: every entry flushed before
// is there.
func TestKill(t *testing.T) {
	t.Parallel()
	path := filename(t)
	for round := range 8 {
		flushed := runAndKill(t, path, time.Duration(20+17*round)*time.Millisecond)
		if flushed == 0 {
			t.Errorf("round %d: nothing was flushed", round)
		}
		wantSound(t, path, flushed)
	}
}

// wantSound checks that the file of a process that was killed has the first entries,
// and that nothing in it is corrupt.
func wantSound(t *testing.T, path string, entries int) {
	t.Helper()
	log := &journal{}
	s := open(t, path, log.logger())
	for n := range entries {
		want(t, s, numbered(t, n))
	}
	s.checks.Wait()
	closeStore(t, s)
	log.want(t)
}

// runAndKill kills a child some time after its first word and returns how many
// entries it said were on disk.
func runAndKill(t *testing.T, path string, after time.Duration) (flushed int) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), crashEnv+"="+path)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var kill *time.Timer
	for lines := bufio.NewScanner(out); lines.Scan(); {
		n, err := strconv.Atoi(lines.Text())
		if err != nil {
			t.Errorf("the child: %s", lines.Text())
			break
		}
		flushed = n
		if kill == nil {
			kill = time.AfterFunc(after, func() { child.Process.Kill() })
		}
	}
	child.Process.Kill()
	_ = child.Wait() // it was killed
	return flushed
}
