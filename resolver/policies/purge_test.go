package policies

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"mta-sts-daemon/resolver/mtasts"
)

// A policy that a caller got before a purge, from another node for example, does not come back
// after it.
func TestPutIfNewerAfterAPurge(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		d := domain(t, "a.example")
		f := fetch(t, "1", "enforce", 864000)
		fetched := b.Put(d, f).Fetched()
		b.NotePurge(d, 0)
		b.Forget(d, func(*Entry) bool { return true })
		if e := b.PutIfNewer(d, f, fetched); e != nil {
			t.Errorf("the purged policy is back: id %s", e.ID())
		}
		f.Noted = b.Asked().Noted
		b.NotePurge(domain(t, "b.example"), 0)
		if e := b.PutIfNewer(d, f, fetched); e == nil {
			t.Error("a policy of after the purge is refused")
		}
	})
}

func TestForgetAll(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		var domains []mtasts.Domain
		defer func() {
			if c := b.Counts(); c.Mismatched != 5 {
				t.Errorf("%d mismatched are left, want 5", c.Mismatched)
			}
		}()
		for i := range 10 {
			d := domain(t, fmt.Sprintf("d%d.example", i))
			domains = append(domains, d)
			f := fetch(t, "1", "enforce", 864000)
			f.Purges = uint64(i % 2)
			b.Put(d, f)
			b.JudgeMX(d, []string{"other.example"}, b.clock.Now())
		}
		if n := b.ForgetAll(1); n != 5 {
			t.Errorf("%d forgotten, want 5", n)
		}
		for i, d := range domains {
			b.wantID(t, d, []string{"", "1"}[i%2])
		}
		old := fetch(t, "1", "enforce", 864000)
		b.PutIfNewer(domains[0], old, time.Now())
		b.wantID(t, domains[0], "") // it is of before the purge
		restarted := New(Options{Clock: b.clock, Store: b.st, Verdicts: b.verdicts, Limits: limits(), Logger: b.logger})
		if e := restarted.PutIfNewer(domains[0], old, time.Now()); e != nil {
			t.Error("after a restart it is back")
		}
	})
}

// A fetch that began before a purge changes and reports nothing, whatever came since.
func TestVoidFetchReportsNothing(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		d := domain(t, "a.example")
		b.NotePurge(d, 0)
		f := fetch(t, "2", "enforce", 864000)
		f.Noted = b.Asked().Noted
		b.Put(d, f)
		logged := b.log.String()
		b.Put(d, fetch(t, "1", "testing", 864000))
		b.wantID(t, d, "2")
		if got := b.log.String(); got != logged {
			t.Errorf("logged: %s", got[len(logged):])
		}
	})
}

// A purge of everything that is carried out after a later one takes nothing of that back.
func TestPurgesOutOfOrder(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		d := domain(t, "a.example")
		f := fetch(t, "1", "enforce", 864000)
		f.Purges = 1
		b.ForgetAll(2)
		b.ForgetAll(1)
		b.Put(d, f)
		b.wantID(t, d, "")
	})
}

// A purge of everything and the fetch of a policy that it voids may end at the same time.
func TestPurgeComesWithPolicy(t *testing.T) {
	b := newBench(t, limits())
	d := domain(t, "a.example")
	for i := range 2_000 {
		f := fetch(t, "1", "enforce", 864000)
		f.Purges = uint64(i)
		var both sync.WaitGroup
		both.Go(func() { b.Put(d, f) })
		both.Go(func() { b.ForgetAll(f.Purges + 1) })
		both.Wait()
		if e := b.Live(d, b.clock.Now()); e != nil {
			t.Fatalf("purge %d left the policy in memory", i+1)
		}
	}
}

// A purge of everything may come while memory takes a policy from the file.
func TestPurgeWhileAPolicyIsLoaded(t *testing.T) {
	var during func() // the next time that the clock is read, which is between the file and memory
	b := newBenchAt(t, limits(), func() time.Time {
		if purge := during; purge != nil {
			during = nil
			purge()
		}
		return time.Now()
	})
	d := domain(t, "a.example")
	b.Put(d, fetch(t, "1", "enforce", 864000))
	b.policies.remove(d)
	purged := -1
	during = func() { purged = b.ForgetAll(1) }
	b.wantID(t, d, "")
	b.wantID(t, d, "")
	if purged != 1 {
		t.Errorf("%d policies purged, want 1", purged)
	}
}

// Policies found during a purge of everything do not count as purged, nor against those that are.
func TestPurgeCountsWhatItRemoves(t *testing.T) {
	var during func() // the next time that the clock is read
	b := newBenchAt(t, limits(), func() time.Time {
		if found := during; found != nil {
			during = nil
			found()
		}
		return time.Now()
	})
	b.Put(domain(t, "a.example"), fetch(t, "1", "enforce", 864000))
	during = func() {
		for i := range 3 {
			f := fetch(t, "1", "enforce", 864000)
			f.Purges = 1
			b.Put(domain(t, fmt.Sprintf("d%d.example", i)), f)
		}
	}
	if n := b.ForgetAll(1); n != 1 {
		t.Errorf("%d policies purged, want 1", n)
	}
}
