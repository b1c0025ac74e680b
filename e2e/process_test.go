package e2e

import (
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mta-sts-daemon/e2e/internal/isolated"
)

const patience = isolated.Patience

// process is a long-lived program and its output.
type process struct {
	name string
	cmd  *exec.Cmd
	said *transcript
	done chan struct{} // closed when it has ended
	err  error         // of Wait, once done is closed
}

// startProcess starts cmd. Its output is shown if the test fails. It is killed at
// the end of the test unless it has ended.
func startProcess(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{
		name: filepath.Base(cmd.Path),
		cmd:  cmd,
		said: newTranscript(),
		done: make(chan struct{}),
	}
	cmd.Stdout, cmd.Stderr = p.said, p.said
	cmd.WaitDelay = time.Second // for children that still hold the pipe
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", p.name, err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		select {
		case <-p.done:
		default:
			cmd.Process.Kill()
			<-p.done
		}
		if t.Failed() {
			t.Logf("%s said:\n%s", p.name, p.said)
		}
	})
	return p
}

// stop sends SIGTERM and waits for the end, which must be a clean one.
func (p *process) stop(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatalf("stopping %s: %v", p.name, err)
	}
	p.awaitEnd(t)
	if p.err != nil {
		t.Errorf("%s ended with %v", p.name, p.err)
	}
}

// stopLater stops the process when the test is over.
func (p *process) stopLater(t *testing.T) {
	t.Cleanup(func() { p.stop(t) })
}

func (p *process) awaitEnd(t *testing.T) {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		t.Fatalf("%s does not end", p.name)
	}
}

// awaitListening returns once something accepts connections at addr, and fails
// when the process ends before.
func (p *process) awaitListening(t *testing.T, addr string) {
	t.Helper()
	tooLong := time.After(patience)
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
			return
		}
		select {
		case <-again.C:
		case <-p.done:
			t.Fatalf("%s ended: %v", p.name, p.err)
		case <-tooLong:
			t.Fatalf("%s does not listen: %v", p.name, err)
		}
	}
}

// await calls find with all output lines of the process, now and whenever there
// are more, until find succeeds.
func await[T any](t *testing.T, p *process, what string, find func(lines []string) (T, bool)) T {
	t.Helper()
	tooLong := time.After(patience)
	for {
		lines, grown := p.said.snapshot()
		if found, ok := find(lines); ok {
			return found
		}
		select {
		case <-grown:
		case <-p.done:
			t.Fatalf("%s ended before there was %s: %v", p.name, what, p.err)
		case <-tooLong:
			t.Fatalf("waited %v in vain for %s", patience, what)
		}
	}
}

// awaitSaid waits until n lines of the process's output have text in them.
func (p *process) awaitSaid(t *testing.T, text string, n int) {
	t.Helper()
	await(t, p, fmt.Sprintf("line %d with %q", n, text), func(lines []string) (struct{}, bool) {
		return struct{}{}, containing(lines, text) >= n
	})
}

// containing counts the lines with text in them.
func containing(lines []string, text string) (n int) {
	for _, line := range lines {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// run runs a command to its end and returns its output.
func run(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	return string(out)
}
