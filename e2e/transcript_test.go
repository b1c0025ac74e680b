package e2e

import (
	"bytes"
	"strings"
	"sync"
)

// transcript is all that a program has said, line by line. It is the program's
// standard output and error; any number of readers may wait for a line in it.
type transcript struct {
	mu      sync.Mutex
	lines   []string
	partial []byte
	grown   chan struct{} // closed and replaced with each new line
}

func newTranscript() *transcript { return &transcript{grown: make(chan struct{})} }

// Write receives the program's output.
func (tr *transcript) Write(said []byte) (int, error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.partial = append(tr.partial, said...)
	for {
		line, rest, whole := bytes.Cut(tr.partial, []byte("\n"))
		if !whole {
			return len(said), nil
		}
		tr.lines = append(tr.lines, string(line))
		tr.partial = rest
		close(tr.grown)
		tr.grown = make(chan struct{})
	}
}

// snapshot returns the lines so far and a channel that is closed when there
// are more.
func (tr *transcript) snapshot() (lines []string, grown <-chan struct{}) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.lines[:len(tr.lines):len(tr.lines)], tr.grown
}

// String is everything said.
func (tr *transcript) String() string {
	lines, _ := tr.snapshot()
	return strings.Join(lines, "\n")
}
