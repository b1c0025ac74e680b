package journal

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"mta-sts-daemon/resolver/event"
)

const (
	// burst is the number of events of a kind that are logged individually in a window.
	burst = 20
	// A window begins with the first event of its kind.
	window = 10 * time.Minute

	countKey = "count"
)

// Limiter passes records to another slog.Handler, but at most 20 events of a kind
// in 10 minutes. It counts the others and logs their number in one record when the
// 10 minutes end. It passes all records that are not events, and all events if
// debug is enabled.
type Limiter struct {
	next  slog.Handler
	flood *flood // shared with the Limiters made from this one
}

// flood counts the events of all loggers together.
type flood struct {
	out slog.Handler // for the summaries

	mu    sync.Mutex
	kinds map[event.Event]*kind
}

// kind is one kind of event in its current window.
type kind struct {
	began  time.Time
	passed int
	held   int // not passed; the summary has the number
	timer  *time.Timer
}

// NewLimiter returns a Limiter that passes records to next. Close it after use.
func NewLimiter(next slog.Handler) *Limiter {
	return &Limiter{next: next, flood: &flood{out: next, kinds: map[event.Event]*kind{}}}
}

// Close logs all pending summaries.
func (l *Limiter) Close() { l.flood.settleAll() }

// Enabled implements slog.Handler.
func (l *Limiter) Enabled(ctx context.Context, level slog.Level) bool {
	return l.next.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (l *Limiter) Handle(ctx context.Context, r slog.Record) error {
	if e, ok := eventOf(r); ok && !l.next.Enabled(ctx, slog.LevelDebug) && !l.flood.admit(e) {
		return nil
	}
	return l.next.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (l *Limiter) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &Limiter{next: l.next.WithAttrs(attrs), flood: l.flood}
}

// WithGroup implements slog.Handler.
func (l *Limiter) WithGroup(name string) slog.Handler {
	return &Limiter{next: l.next.WithGroup(name), flood: l.flood}
}

// admit reports whether an event e may pass. If not, it counts the event.
func (f *flood) admit(e event.Event) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	k := f.kinds[e]
	if k == nil || k.held == 0 && now.Sub(k.began) >= window {
		k = &kind{began: now}
		f.kinds[e] = k
	}
	if k.passed < burst {
		k.passed++
		return true
	}
	k.held++
	if k.timer == nil {
		k.timer = time.AfterFunc(k.began.Add(window).Sub(now), func() { f.settle(e, k) })
	}
	return false
}

// settle ends the window k, unless it has ended already.
func (f *flood) settle(e event.Event, k *kind) {
	f.mu.Lock()
	current := f.kinds[e] == k
	if current {
		delete(f.kinds, e)
	}
	f.mu.Unlock()
	if current {
		f.summarise(e, k)
	}
}

func (f *flood) settleAll() {
	f.mu.Lock()
	kinds := f.kinds
	f.kinds = map[event.Event]*kind{}
	f.mu.Unlock()
	for e := range event.All {
		if k := kinds[e]; k != nil && k.held > 0 {
			k.timer.Stop()
			f.summarise(e, k)
		}
	}
}

// summarise logs how many events of a kind did not pass.
func (f *flood) summarise(e event.Event, k *kind) {
	def := e.Define()
	if !f.out.Enabled(context.Background(), def.Level) {
		return
	}
	now := time.Now()
	minutes := (now.Sub(k.began) + time.Minute - 1) / time.Minute
	words := fmt.Sprintf("%s: %d more in %d min, not shown one by one", def.Message, k.held, minutes)
	if command := e.Command(); command != "" {
		words += `; "mta-sts-daemon ` + command + `" lists the domains`
	}
	r := slog.NewRecord(now, def.Level, words, 0)
	r.AddAttrs(slog.Int(countKey, k.held), slog.Any(event.Key, e))
	_ = f.out.Handle(context.Background(), r) // slog ignores this error too
}

// eventOf returns the event of r, if it has one.
func eventOf(r slog.Record) (event.Event, bool) {
	for a := range r.Attrs {
		if e, ok := eventIn(a); ok {
			return e, true
		}
	}
	return 0, false
}
