package resolver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/dnsclient"
	"mta-sts-daemon/resolver/mtasts"
)

func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimit(1)
		refuse := func() bool { return false }
		expect := func(want error, after time.Duration) {
			t.Helper()
			start := time.Now()
			if err := l.enter(t.Context(), time.Second, refuse); err != want || time.Since(start) != after {
				t.Errorf("%v after %v, want %v after %v", err, time.Since(start), want, after)
			}
		}
		expect(nil, 0)
		expect(errBusy, time.Second) // nobody leaves
		time.AfterFunc(time.Second/2, l.leave)
		expect(nil, time.Second/2)

		gone := errors.New("gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second/2, func() { cancel(gone) })
		if err := l.enter(ctx, time.Second, refuse); err != gone {
			t.Errorf("given up: %v, want its cause", err)
		}

		// The newest comes first; one that stays waits on.
		var order []int
		for i := range 3 {
			go func() {
				if l.enter(t.Context(), time.Second, func() bool { return i == 0 }) == nil {
					order = append(order, i)
				}
			}()
			synctest.Wait()
		}
		if !l.congested() {
			t.Error("three wait, and it is not congested")
		}
		l.leave()
		synctest.Wait()
		time.Sleep(2 * time.Second) // the second gives up
		l.leave()
		synctest.Wait()
		if want := []int{2, 0}; !slices.Equal(order, want) || l.congested() {
			t.Errorf("entered in the order %v, want %v; congested %v", order, want, l.congested())
		}

		for range maxQueued {
			go l.enter(t.Context(), time.Second, refuse)
		}
		synctest.Wait()
		expect(errBusy, 0) // the queue is full
		time.Sleep(2 * time.Second)
	})
}

// busyWorld is a world in which whatever concerns a domain of the flood takes
// until it has passed.
type busyWorld struct {
	*world
	passed     chan struct{}
	slowRecord bool // else the policy is what takes time

	mu         sync.Mutex
	busy, most int
}

// wait takes until the flood has passed, for its domains.
func (w *busyWorld) wait(ctx context.Context, slow bool, name string) {
	if !slow || name == "known.example" {
		return
	}
	w.count(+1)
	defer w.count(-1)
	select {
	case <-w.passed:
	case <-ctx.Done():
	}
}

func (w *busyWorld) count(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy += n
	w.most = max(w.most, w.busy)
}

func (w *busyWorld) TXT(ctx context.Context, name string) (dnsclient.Answer[string], error) {
	w.wait(ctx, w.slowRecord, name[len("_mta-sts."):])
	return w.world.TXT(ctx, name)
}

func (w *busyWorld) Fetch(ctx context.Context, d mtasts.Domain) (string, error) {
	w.wait(ctx, !w.slowRecord, d.String())
	return w.world.Fetch(ctx, d)
}

func (w *busyWorld) Check(ctx context.Context, d mtasts.Domain, _ bool, _ uint16) (dane.Verdict, error) {
	w.wait(ctx, true, d.String())
	return dane.Verdict{Kind: dane.None, TTL: time.Hour}, nil
}

// In a flood of unknown names a limited number of discoveries run at once, each
// lookup is answered in time, and a refused discovery does not count as an
// absence. Meanwhile a known domain's new policy is found, and its refresh takes
// place.
func TestFlood(t *testing.T) {
	for _, tc := range []struct {
		name       string
		slowRecord bool
		most       int
	}{
		{"zones that do not answer", true, maxRecords},
		{"policy hosts that do not answer", false, maxFetches},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const refused = 50
				w := &busyWorld{world: newWorld(t), passed: make(chan struct{}), slowRecord: tc.slowRecord}
				r := w.resolver()
				s := *r.settings.Load()
				s.TXT, s.Policies = w, w
				r.Configure(s)
				w.publish("known.example", "1", policyText("enforce", "864000"))
				expect(t, r, "known.example", "enforce/1")
				time.Sleep(10 * time.Minute) // its record is to be asked for again

				var flood sync.WaitGroup
				name := func(i int) string { return fmt.Sprintf("x%d.flood.example", i) }
				for i := range tc.most + refused {
					w.publish(name(i), "1", policyText("enforce", "864000"))
					flood.Go(func() {
						if mode, took := lookUp(t, r, name(i)); mode != "-" || took != 8*time.Second {
							t.Errorf("%s: %s after %v, want no policy after 8s", name(i), mode, took)
						}
					})
				}
				synctest.Wait()
				w.publish("known.example", "2", policyText("enforce", "864000"))
				expect(t, r, "known.example", "enforce/2")
				flood.Wait()
				synctest.Wait()
				w.expectMetric("mta_sts_discoveries_total", map[string]float64{"policy": 2, "busy": refused})
				keepInUse(t, r, "known.example", "enforce/2", 30*time.Hour)
				if _, fetches := w.asked("known.example"); fetches < 3 {
					t.Errorf("%d fetches for the known domain: it was not refreshed", fetches)
				}

				close(w.passed)
				synctest.Wait()
				if w.most != tc.most {
					t.Errorf("%d at once, want %d", w.most, tc.most)
				}
				for i := range tc.most + refused {
					expect(t, r, name(i), "enforce/1")
				}
			})
		})
	}
}

// If a flood prevents the DANE check of a next hop, its verdict is unknown; an
// old verdict is still checked again.
func TestFloodOfChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const refused = 50
		w := &busyWorld{world: newWorld(t), passed: make(chan struct{})}
		r := w.resolver()
		s := *r.settings.Load()
		s.DANE = w
		r.Configure(s)
		expectDANE(t, r, "known.example", dane.None, 0)
		time.Sleep(2 * time.Hour) // its verdict is old

		var flood sync.WaitGroup
		var unknown atomic.Int32
		for i := range maxChecks + refused {
			flood.Go(func() {
				if _, _, err := lookUpDANE(t, r, hop(t, fmt.Sprintf("x%d.flood.example", i))); errors.Is(err, ErrDANEUnknown) {
					unknown.Add(1)
				}
			})
		}
		synctest.Wait()
		expectDANE(t, r, "known.example", dane.None, 0)
		flood.Wait()
		if w.most != maxChecks || unknown.Load() != maxChecks+refused {
			t.Errorf("%d checks at once, %d lookups without a verdict; want %d, %d", w.most, unknown.Load(), maxChecks, maxChecks+refused)
		}
		close(w.passed)
	})
}

// A policy host that could not be asked because others ask it is not to blame.
func TestPolicyHostBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		busy := hostAnswer{err: errHostBusy}
		good := hostAnswer{text: policyText("enforce", "864000")}
		w := newWorld(t)
		w.publish("a.example", "1", good.text)
		w.setHost("a.example", busy)
		r := w.resolverWith(w.memory())
		expect(t, r, "a.example", "-")
		expect(t, r, "a.example", "-") // and does not wait again
		w.setHost("a.example", good)
		time.Sleep(2 * time.Second)
		expect(t, r, "a.example", "enforce/1") // its discovery stayed queued

		w.setHost("a.example", busy)
		keepInUse(t, r, "a.example", "enforce/1", 40*time.Hour)
		w.setHost("a.example", good)
		_, before := w.asked("a.example")
		time.Sleep(time.Minute + 31*time.Second) // and the scheduler looks twice a minute
		if _, fetches := w.asked("a.example"); fetches != before+1 {
			t.Errorf("%d fetches once the host is free, want 1", fetches-before)
		}
		w.expectLogged("cannot be refreshed", 1) // after six hours
		w.expectLogged("could not be fetched", 0)
	})
}

// 20,000 names in dead zones, and a resolver that dies and returns meanwhile: questions stay
// bounded, known domains are answered at once, and a new domain has its policy soon after the
// return.
func TestFloodDuringAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.resolver()
		s := *r.settings.Load()
		s.NegativeEntries = 50_000
		r.Configure(s)
		w.publish("known.example", "1", policyText("enforce", "864000"))
		expect(t, r, "known.example", "enforce/1")
		const names = 20_000
		var slowest atomic.Int64
		flood := func(from, to int) {
			for i := from; i < to; i++ {
				d := fmt.Sprintf("x%d.dead.example", i)
				w.setTXT(d, txtAnswer{err: errServfail, delay: 5 * time.Second})
				go lookUpQuietly(r, hop(t, d))
				if i%50 == 0 { // 500 a second
					time.Sleep(100 * time.Millisecond)
					start := time.Now()
					if a, ok := r.Cached(hop(t, "known.example"), time.Now()); !ok || a.Policy == nil {
						expect(t, r, "known.example", "enforce/1")
					}
					slowest.Store(max(slowest.Load(), int64(time.Since(start))))
				}
			}
		}
		flood(0, names/2)
		known := w.txt["known.example"]
		w.away(true, "known.example")
		flood(names/2, names)
		time.Sleep(10 * time.Second)
		before, start := w.questions(), time.Now()
		time.Sleep(time.Minute)
		if n, most := w.questions()-before, int(time.Since(start)/time.Second)+1; n > most {
			t.Errorf("%d questions in %v of the outage, want one a second", n, time.Since(start))
		}
		w.publish("new.example", "1", policyText("enforce", "864000"))
		w.setTXT("known.example", known)
		w.away(false)
		start = time.Now()
		if mode, took := lookUp(t, r, "new.example"); mode != "enforce/1" || took > 2*time.Second {
			t.Errorf("%s %v after the resolver's return", mode, took)
		}
		t.Logf("%d names; a known domain was answered within %v; a new one %v after the return", names, time.Duration(slowest.Load()), time.Since(start))
		if late := time.Duration(slowest.Load()); late > s.RecheckWait {
			t.Errorf("a known domain waited for %v", late)
		}
	})
}

// lookUpQuietly performs a lookup as a handler does and ignores the result.
func lookUpQuietly(r *Resolver, h NextHop) {
	if _, ok := r.Cached(h, time.Now()); !ok {
		r.Resolve(context.Background(), h)
	}
}

// A discovery that waits for its turn when an outage begins asks nothing in it.
func TestQueuedDiscoveriesInAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.resolver()
		s := *r.settings.Load()
		s.NegativeEntries = 2 * maxRecords
		r.Configure(s)
		w.away(true)
		var lookups sync.WaitGroup
		for i := range maxRecords + 100 {
			d := fmt.Sprintf("silent-%d.example", i)
			w.setTXT(d, txtAnswer{err: errServfail, delay: 5 * time.Second})
			lookups.Go(func() { lookUp(t, r, d) })
		}
		time.Sleep(4 * time.Second)
		before := w.questions()
		time.Sleep(3 * time.Second)
		if n := w.questions() - before; n > 4 {
			t.Errorf("%d questions as the outage begins, want a probe a second", n)
		}
		lookups.Wait()
	})
}
