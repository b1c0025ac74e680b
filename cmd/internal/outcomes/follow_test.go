package outcomes_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mta-sts-daemon/cmd/internal/outcomes"
)

// logWriter acts as a syslog daemon: it keeps the file open until reopen. Each message has a TLS line and a delivery line.
type logWriter struct {
	t    *testing.T
	path string
	file *os.File
	n    int // messages
}

func newLogWriter(t *testing.T) *logWriter {
	w := &logWriter{t: t, path: filepath.Join(t.TempDir(), "mail.log")}
	w.open()
	t.Cleanup(func() { w.file.Close() })
	return w
}

func (w *logWriter) open() {
	w.t.Helper()
	if w.file != nil {
		w.file.Close()
	}
	var err error
	if w.file, err = os.OpenFile(w.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *logWriter) write(text string) {
	w.t.Helper()
	if _, err := w.file.WriteString(text); err != nil {
		w.t.Fatal(err)
	}
}

func (w *logWriter) messages(n int) {
	w.t.Helper()
	for range n {
		w.n++
		w.write(smtp1 + verifiedMX)
		w.write(sentLine(w.n) + "\n")
	}
}

func (w *logWriter) rename(from, to string) {
	w.t.Helper()
	if err := os.Rename(w.path+from, w.path+to); err != nil {
		w.t.Fatal(err)
	}
}

// rotate moves the file away, as logrotate does with "create" or without it, and
// goes on for a while with the file that is open.
func (w *logWriter) rotate(create bool, meanwhile int) {
	w.t.Helper()
	for age := 8; age > 0; age-- {
		from := fmt.Sprintf(".%d", age)
		if _, err := os.Stat(w.path + from); err == nil {
			w.rename(from, fmt.Sprintf(".%d", age+1))
		}
	}
	w.rename("", ".1")
	if create {
		f, err := os.Create(w.path)
		if err != nil {
			w.t.Fatal(err)
		}
		f.Close()
	}
	w.messages(meanwhile)
	w.open()
}

// follower returns a Follower that begins at the end of the log, or at the end of an
// earlier one with the same state.
func (w *logWriter) follower(state string) *outcomes.Follower {
	f := &outcomes.Follower{
		Tally: outcomes.NewTally(outcomes.Options{}), Path: w.path, StateFile: state, Logger: slog.New(slog.DiscardHandler),
	}
	if _, err := os.Stat(state); err != nil {
		w.runOnce(f)
	}
	return f
}

// start runs f until the function that it returns is called.
func (w *logWriter) start(f *outcomes.Follower) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- f.Run(ctx) }()
	return func() {
		w.t.Helper()
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("Run: %v", err)
		}
	}
}

// await waits until n messages were counted, all of them verified.
func await(t *testing.T, tally *outcomes.Tally, n int) {
	t.Helper()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	tooLong := time.After(time.Minute)
	for {
		got := counts(tally.Summary())
		if got["unknown verified sent"] == uint64(n) && got["messages sent"] == uint64(n) && (len(got) == 2 || n == 0) {
			return
		}
		select {
		case <-again.C:
		case <-tooLong:
			t.Fatalf("want %d messages, got %v", n, got)
		}
	}
}

func TestFollow(t *testing.T) {
	t.Parallel()
	for name, step := range map[string]func(w *logWriter){
		"appended":              func(w *logWriter) { w.messages(500) },
		"rotated":               func(w *logWriter) { w.rotate(false, 0); w.messages(100) },
		"rotated, create":       func(w *logWriter) { w.rotate(true, 0); w.messages(100) },
		"rotated, late writes":  func(w *logWriter) { w.rotate(true, 500); w.messages(100) },
		"rotated several times": func(w *logWriter) { w.rotate(true, 10); w.rotate(false, 10); w.rotate(true, 10); w.messages(10) },
		"between two lines of a session": func(w *logWriter) {
			w.n++
			w.write(smtp1 + verifiedMX)
			w.rotate(true, 0)
			w.write(sentLine(w.n) + "\n")
		},
		"deleted": func(w *logWriter) {
			if err := os.Remove(w.path); err != nil {
				w.t.Fatal(err)
			}
			w.messages(10)
			w.open()
			w.messages(10)
		},
		"truncated": func(w *logWriter) {
			w.truncate()
			w.messages(2)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newLogWriter(t)
			w.messages(3) // before: not counted
			f := w.follower(filepath.Join(t.TempDir(), "state"))
			w.n = 0
			stop := w.start(f)
			w.messages(10)
			await(t, f.Tally, 10)
			step(w)
			await(t, f.Tally, w.n)
			stop()
			await(t, f.Tally, w.n)
		})
	}
}

// truncate empties the file, as logrotate's copytruncate does.
func (w *logWriter) truncate() {
	w.t.Helper()
	if err := w.file.Truncate(0); err != nil {
		w.t.Fatal(err)
	}
}

// Rotations while messages are written without pause, and restarts of the
// follower, lose none and count none twice.
func TestFollowUnderLoad(t *testing.T) {
	t.Parallel()
	w := newLogWriter(t)
	state := filepath.Join(t.TempDir(), "state")
	f := w.follower(state)
	total := uint64(0)
	for range 4 {
		stop := w.start(f)
		w.messages(2000)
		w.rotate(true, 300)
		w.messages(2000)
		w.rotate(false, 300)
		w.messages(200)
		stop()
		total += counts(f.Tally.Summary())["unknown verified sent"]
		// It is not there for a session's second line, and for a rotation.
		w.n++
		w.write(smtp1 + verifiedMX)
		w.rotate(true, 0)
		w.write(sentLine(w.n) + "\n")
		f = w.follower(state)
	}
	stop := w.start(f)
	await(t, f.Tally, w.n-int(total))
	stop()
}

// runOnce lets f read the log up to its present end.
func (w *logWriter) runOnce(f *outcomes.Follower) {
	w.t.Helper()
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if err := f.Run(ended); err != nil {
		w.t.Fatal(err)
	}
}

// A line counts once it is written to its end.
func TestFollowHalfLine(t *testing.T) {
	t.Parallel()
	w := newLogWriter(t)
	f := w.follower(filepath.Join(t.TempDir(), "state"))
	for n := 1; n < 20; n++ {
		line := smtp1 + verifiedMX + sentLine(n) + "\n"
		half := len(line) * n / 20
		w.write(line[:half])
		w.runOnce(f)
		await(t, f.Tally, n-1)
		w.write(line[half:])
		w.runOnce(f)
		await(t, f.Tally, n)
	}
}

// A log that is not there yet is waited for, and counted from its beginning.
func TestFollowMissing(t *testing.T) {
	t.Parallel()
	w := newLogWriter(t)
	w.rename("", ".gone")
	ready := make(chan struct{})
	f := &outcomes.Follower{Tally: outcomes.NewTally(outcomes.Options{}), Path: w.path, Logger: slog.New(slog.DiscardHandler), Ready: func() { close(ready) }}
	stop := w.start(f)
	defer stop()
	<-ready
	w.open()
	w.messages(3)
	await(t, f.Tally, 3)
}

// If the file of the position is gone, the log counts from its beginning, and a
// warning says that part was missed.
func TestFollowGone(t *testing.T) {
	t.Parallel()
	w := newLogWriter(t)
	state := filepath.Join(t.TempDir(), "state")
	w.follower(state)
	w.rename("", "-kept-elsewhere")
	w.open()
	w.messages(3)
	var log bytes.Buffer
	f := w.follower(state)
	f.Logger = slog.New(slog.NewTextHandler(&log, nil))
	stop := w.start(f)
	await(t, f.Tally, 3)
	stop()
	if !strings.Contains(log.String(), "Part of Postfix's log was missed") {
		t.Errorf("logged: %s", log.String())
	}
}

// After a crash of the machine the file of the position may be empty or torn. It is kept
// under another name, and later lines are counted.
func TestFollowCorruptState(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", `{"file":{"device":1,`, "\x00\x00", `{"file":{"device":1,"inode":1,"offset":-1}}`} {
		w := newLogWriter(t)
		w.messages(3)
		state := filepath.Join(t.TempDir(), "state")
		if err := os.WriteFile(state, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		f := w.follower(state)
		f.Logger = slog.New(slog.NewTextHandler(&log, nil))
		w.runOnce(f)
		w.messages(2)
		w.runOnce(f)
		await(t, f.Tally, 2)
		if !strings.Contains(log.String(), "The saved position in Postfix's log is corrupt") {
			t.Errorf("%q: logged: %s", text, log.String())
		}
		if kept, err := os.ReadFile(state + ".corrupt"); err != nil || string(kept) != text {
			t.Errorf("%q: kept %q, %v", text, kept, err)
		}
	}
}

// A file that has something else stays as it is, and a directory is not taken for a log.
func TestFollowWrongName(t *testing.T) {
	t.Parallel()
	w := newLogWriter(t)
	w.messages(1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // it must not wait for lines
	for _, text := range []string{"relayhost =\n", `{"log-driver": "journald"}`} {
		state := filepath.Join(t.TempDir(), "other")
		if err := os.WriteFile(state, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := w.follower(state).Run(ctx); err == nil || !strings.Contains(err.Error(), "other has no position that was saved here") {
			t.Errorf("%q as state: error %v", text, err)
		}
		if kept, err := os.ReadFile(state); err != nil || string(kept) != text {
			t.Errorf("%q, %v", kept, err)
		}
	}
	f := w.follower("")
	f.Path = t.TempDir()
	if err := f.Run(ctx); err == nil || !strings.HasSuffix(err.Error(), "is a directory: name the log") {
		t.Errorf("a directory as log: error %v", err)
	}
}

// The position is written when it has changed. That it cannot be is logged once, and its end
// too.
func TestSave(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newLogWriter(t)
		var log lockedBuffer
		dir := filepath.Join(t.TempDir(), "state")
		f := w.follower(filepath.Join(dir, "outcomes.json"))
		f.Logger = slog.New(slog.NewTextHandler(&log, nil))
		defer w.start(f)()
		minute := func() {
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		minute()
		if n := strings.Count(log.String(), "could not be saved"); n != 1 {
			t.Errorf("%d warnings in a minute", n)
		}
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		minute()
		first, err := os.Stat(f.StateFile)
		if err != nil || strings.Count(log.String(), "is saved again") != 1 {
			t.Fatalf("%v\n%s", err, &log)
		}
		minute()
		if second, err := os.Stat(f.StateFile); err != nil || !os.SameFile(first, second) || !first.ModTime().Equal(second.ModTime()) {
			t.Errorf("written again though nothing has changed: %v", err)
		}
		w.messages(1)
		minute()
		if text, err := os.ReadFile(f.StateFile); err != nil || !strings.Contains(string(text), "mx.a.test") {
			t.Errorf("not written though there is a new line: %s, %v", text, err)
		}
	})
}

// lockedBuffer is a bytes.Buffer for several goroutines.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
