// Package warm has a daemon look up a list of domains, at a pace that hurts
// nobody.
package warm

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// Lookup looks up a next hop and returns the answer to Postfix.
type Lookup func(ctx context.Context, key string) (answer string, err error)

// MaxRate limits Options.Rate and Options.Concurrency: a ticker has nanoseconds.
const MaxRate = 1_000_000

// Options say where to begin and how fast to go.
type Options struct {
	// From is the first line to look up; 0 and 1 are the first of the list.
	From int
	// Rate bounds the lookups that begin in a second, 1 to MaxRate.
	Rate int
	// Concurrency bounds those under way at once, 1 to MaxRate.
	Concurrency int
	// Progress is called after each lookup, by one goroutine at a time; nil for
	// no calls.
	Progress func()
}

// Summary is what became of a list.
type Summary struct {
	// Looked counts the lookups: those with an answer, without one, and those
	// that failed.
	Looked    int `json:"looked_up"`
	Answered  int `json:"answered"`
	Not       int `json:"without_policy"`
	Undecided int `json:"undecided"`
	Failed    int `json:"failed"`
	// UndecidedKeys are the first of those that could not be decided, with the reason.
	UndecidedKeys []string `json:"undecided_keys,omitempty"`
	// Done is the last line up to which all lookups were made. A run that was
	// interrupted continues with the next line.
	Done int `json:"done_to_line"`
	// FirstFailure is the first line that failed, and why.
	FirstFailure string `json:"first_failure,omitempty"`
}

// maxUndecidedKeys limits Summary.UndecidedKeys.
const maxUndecidedKeys = 100

// Run looks up every line of list. Blank lines and those that begin with # are
// left out. The error says that list could not be read; when ctx ends, it is
// ctx's, and Done is the last line reached.
func Run(ctx context.Context, list io.Reader, look Lookup, o Options) (Summary, error) {
	r := run{look: look, progress: o.Progress, underway: map[int]bool{}}
	slots := make(chan struct{}, o.Concurrency)
	pace := time.NewTicker(time.Second / time.Duration(o.Rate))
	defer pace.Stop()
	var lookups sync.WaitGroup
	err := eachLine(list, func(line int, key string) error {
		if line < o.From || key == "" {
			r.pass(line)
			return nil
		}
		if err := wait(ctx, slots, pace.C); err != nil {
			return err
		}
		r.begin(line)
		lookups.Go(func() {
			r.lookUp(ctx, line, key)
			<-slots
		})
		return nil
	})
	lookups.Wait()
	return r.sum(), err
}

// Count returns how many lookups Run would do from that line on, as far as list
// can be read.
func Count(list io.Reader, from int) (lookups int) {
	// Run reports a list that cannot be read.
	_ = eachLine(list, func(line int, key string) error {
		if line >= from && key != "" {
			lookups++
		}
		return nil
	})
	return lookups
}

// wait returns when a slot is free and the pace allows it.
func wait(ctx context.Context, slots chan<- struct{}, pace <-chan time.Time) error {
	select {
	case <-pace:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case slots <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// eachLine hands on every line, and the key in it if it has one.
func eachLine(list io.Reader, each func(line int, key string) error) error {
	in := bufio.NewScanner(list)
	line := 0
	for in.Scan() {
		line++
		key := strings.TrimSpace(in.Text())
		if strings.HasPrefix(key, "#") {
			key = ""
		}
		if err := each(line, key); err != nil {
			return err
		}
	}
	switch err := in.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return fmt.Errorf("line %d: too long: is this a list of names, one in each line?", line+1)
	case err != nil:
		return fmt.Errorf("line %d: %w", line+1, err)
	}
	return nil
}

// run counts the results of the lookups.
type run struct {
	look     Lookup
	progress func()

	mu       sync.Mutex
	summary  Summary
	underway map[int]bool // lines
	read     int          // lines
}

func (r *run) pass(line int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.read = line
}

func (r *run) begin(line int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.read = line
	r.underway[line] = true
}

func (r *run) lookUp(ctx context.Context, line int, key string) {
	answer, err := r.look(ctx, key)
	r.mu.Lock()
	defer r.mu.Unlock()
	if ctx.Err() != nil {
		return // given up, to be done again
	}
	delete(r.underway, line)
	r.summary.Looked++
	status, reason, _ := strings.Cut(answer, " ")
	switch {
	case err != nil:
		r.summary.Failed++
		if r.summary.FirstFailure == "" {
			r.summary.FirstFailure = fmt.Sprintf("line %d: %v", line, err)
		}
	case status == "OK":
		r.summary.Answered++
	case status == "NOTFOUND":
		r.summary.Not++
	default:
		r.summary.Undecided++
		if len(r.summary.UndecidedKeys) < maxUndecidedKeys {
			r.summary.UndecidedKeys = append(r.summary.UndecidedKeys, key+": "+reason)
		}
	}
	if r.progress != nil {
		r.progress()
	}
}

func (r *run) sum() Summary {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.summary.Done = r.read
	for line := range r.underway {
		r.summary.Done = min(r.summary.Done, line-1)
	}
	return r.summary
}
