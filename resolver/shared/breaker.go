package shared

import (
	"sync"
	"time"
)

// warnAfter is how many failures in a row cause a warning. A single one does not.
const warnAfter = 2

// pace is how long an attempt may take, and how soon it is repeated.
type pace struct {
	// connecting bounds the making of a connection, attempt each wait for the server when no
	// lookup waits.
	connecting, attempt time.Duration
	// How long a server is not asked after a failure; it doubles with each
	// further one.
	minPause, maxPause time.Duration
	// steady is how long the store must have worked until a failure counts as the
	// first again, and the interval at which watch reads it.
	steady time.Duration
}

func usualPace() pace {
	return pace{
		connecting: dialTimeout, attempt: attemptTimeout,
		minPause: time.Second, maxPause: 30 * time.Second, steady: 10 * time.Second,
	}
}

// breaker decides whether a server is asked. Its states:
//
//	closed   everybody may ask; a failure opens it
//	open     nobody asks until retry; then the first caller probes
//	probing  that caller asks; success closes the breaker, failure opens it for
//	         longer, and abandon makes it open again, with another probe at once
type breaker struct {
	// report is called, without the lock, with an error that needs a warning, and
	// with nil when the failure is over.
	report func(error)
	pace   pace

	mu         sync.Mutex // guards what follows
	generation generation
	open       bool // or probing
	probing    bool
	retry      time.Time // of the next probe
	failures   int       // in a row
	failed     time.Time // the last of them
	reported   bool
}

// generation is the time from one failure to the next. The outcome of an attempt
// of an earlier generation is ignored.
type generation int

// begin reports whether the caller may ask. If so, it must call end or abandon.
func (b *breaker) begin() (generation, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open {
		if b.probing || time.Now().Before(b.retry) {
			return 0, false
		}
		b.probing = true
	}
	return b.generation, true
}

// abandon ends an attempt whose outcome says nothing about the server.
func (b *breaker) abandon(g generation) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if g == b.generation {
		b.probing = false
	}
}

// end updates the breaker with the outcome of an attempt.
func (b *breaker) end(g generation, err error) {
	if b.file(g, err) {
		b.report(err)
	}
}

// file does the same without a report. It returns whether err has to be reported.
func (b *breaker) file(g generation, err error) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if g != b.generation {
		return false
	}
	b.probing = false
	b.open = err != nil
	if err == nil {
		return b.recovered()
	}
	b.generation++
	b.failures++
	b.failed = time.Now()
	b.retry = b.failed.Add(b.pace.pause(b.failures))
	first := b.failures >= warnAfter && !b.reported
	b.reported = b.reported || first
	return first
}

// settle ends a row of failures if nothing has failed for a while. It is for a
// server that nobody has asked since it worked again.
func (b *breaker) settle() {
	b.mu.Lock()
	recovered := b.recovered()
	b.mu.Unlock()
	if recovered {
		b.report(nil)
	}
}

// retire ends the breaker of a server that is not asked any more: its failure, if
// it was reported, is over.
func (b *breaker) retire() {
	b.mu.Lock()
	reported := b.reported
	b.reported = false
	b.generation++ // so that the outcome of attempts under way is ignored
	b.mu.Unlock()
	if reported {
		b.report(nil)
	}
}

// recovered ends a row of failures, once the server has been steady, and returns
// whether that has to be reported.
func (b *breaker) recovered() bool {
	if b.open || b.failures == 0 || time.Since(b.failed) < b.pace.steady {
		return false
	}
	b.failures = 0
	reported := b.reported
	b.reported = false
	return reported
}

// wait returns how long until the server may be asked.
func (b *breaker) wait() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.open {
		return 0
	}
	return max(time.Until(b.retry), 0)
}

// pause returns how long a server is not asked after that many failures in a row, 1
// or more.
func (p pace) pause(failures int) time.Duration {
	pause := p.minPause
	for range failures - 1 {
		if pause *= 2; pause >= p.maxPause {
			return p.maxPause
		}
	}
	return pause
}
