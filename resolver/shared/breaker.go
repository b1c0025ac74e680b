package shared

import (
	"sync"
	"time"
)

// warnAfter is how many failures in a row are worth a warning. One is a hiccup.
const warnAfter = 2

// pace is how soon things are done again.
type pace struct {
	// How long the store is left alone after a failure; it doubles with each
	// further one.
	minPause, maxPause time.Duration
	// steady is how long the store must have worked before a failure counts as
	// the first again, and how often it is read although nobody asks.
	steady time.Duration
}

func usualPace() pace {
	return pace{minPause: time.Second, maxPause: 30 * time.Second, steady: 10 * time.Second}
}

// breaker decides whether the store is asked: after a failure by nobody for a
// pause, and then by one, whose outcome decides for the others.
type breaker struct {
	// tell hears of the error that is worth a warning, and of nil when it is
	// over.
	tell func(error)
	pace pace

	mu       sync.Mutex
	turn     turn
	open     bool // nobody asks, but for one after retry
	probing  bool // that one does
	retry    time.Time
	failures int // in a row
	failed   time.Time
	told     bool
}

// turn is what an attempt belongs to: from one failure to the next. What becomes
// of an attempt of an earlier one is no news.
type turn int

// begin reports whether the caller may ask. Then it must say by end or abandon
// what became of it.
func (b *breaker) begin() (turn, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open {
		if b.probing || time.Now().Before(b.retry) {
			return 0, false
		}
		b.probing = true
	}
	return b.turn, true
}

// abandon is for an attempt that says nothing of the store.
func (b *breaker) abandon(t turn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if t == b.turn {
		b.probing = false
	}
}

// end files the outcome of an attempt.
func (b *breaker) end(t turn, err error) {
	if b.file(t, err) {
		b.tell(err)
	}
}

// file reports whether err is to be told.
func (b *breaker) file(t turn, err error) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if t != b.turn {
		return false
	}
	b.probing = false
	b.open = err != nil
	if err == nil {
		return b.recovered()
	}
	b.turn++
	b.failures++
	b.failed = time.Now()
	b.retry = b.failed.Add(b.pace.pause(b.failures))
	first := b.failures >= warnAfter && !b.told
	b.told = b.told || first
	return first
}

// settle notes that nothing has failed for a while, where nobody has asked since
// the store worked again.
func (b *breaker) settle() {
	b.mu.Lock()
	recovered := b.recovered()
	b.mu.Unlock()
	if recovered {
		b.tell(nil)
	}
}

// retire ends the breaker of a server that is not asked any more.
func (b *breaker) retire() {
	b.mu.Lock()
	told := b.told
	b.told = false
	b.turn++ // what is under way says nothing any more
	b.mu.Unlock()
	if told {
		b.tell(nil)
	}
}

// recovered ends a row of failures, once the store has been steady, and reports
// whether that is to be told.
func (b *breaker) recovered() bool {
	if b.open || b.failures == 0 || time.Since(b.failed) < b.pace.steady {
		return false
	}
	b.failures = 0
	told := b.told
	b.told = false
	return told
}

// wait returns how long until the store may be asked.
func (b *breaker) wait() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.open {
		return 0
	}
	return max(time.Until(b.retry), 0)
}

// pause returns how long the store is left alone after so many failures in a
// row, 1 or more.
func (p pace) pause(failures int) time.Duration {
	pause := p.minPause
	for range failures - 1 {
		if pause *= 2; pause >= p.maxPause {
			return p.maxPause
		}
	}
	return pause
}
