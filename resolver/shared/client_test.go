package shared

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"mta-sts-daemon/resolver/mtasts"
)

var sameDomain = cmp.Comparer(func(a, b mtasts.Domain) bool { return a == b })

// A policy that one node has fetched is known to the others, and they receive a change.
func TestPut(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, program []string) {
		t.Parallel()
		s := start(t, program)
		a, b := join(t, s.url()), join(t, s.url())
		s.listening(t, 2)
		d, e := domain(t, "example.com"), fetched(t, "1", 10*time.Second)
		if v := b.Get(t.Context(), d); !cmp.Equal(v, Value{}) {
			t.Errorf("before: %+v", v)
		}
		a.Put(d, e)
		want := Change{Domain: d, Value: Value{Entry: &e}}
		eventually(t, "both nodes receive it", func() bool {
			isIt := func(c Change) bool { return cmp.Equal(c, want, sameDomain) }
			return a.received(isIt) && b.received(isIt)
		})
		if diff := cmp.Diff(want.Value, b.Get(t.Context(), d)); diff != "" {
			t.Error(diff)
		}
		life := s.admin.PTTL(t.Context(), "mta-sts:example.com").Val()
		if want := time.Until(e.Ends()) + keepEnded; (life - want).Abs() > time.Minute/2 {
			t.Errorf("the key lives for %v, want %v", life, want)
		}
	})
}

// The newest value stays, in whatever order values are written.
func TestNewerStays(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, program []string) {
		t.Parallel()
		s := start(t, program)
		n := join(t, s.url())
		old, middle, young := fetched(t, "old", time.Hour), fetched(t, "middle", time.Minute), fetched(t, "young", time.Second)
		again := middle
		again.ID = "again"
		gone := fetched(t, "gone", time.Second)
		gone.Policy = policy(t, "version: STSv1\nmode: none\nmax_age: 0\n")
		for name, tc := range map[string]struct {
			puts []Entry
			want string
		}{
			"in-order.example":              {[]Entry{old, middle, young}, "young"},
			"backwards.example":             {[]Entry{young, middle, old}, "young"},
			"mixed.example":                 {[]Entry{middle, young, old}, "young"},
			"same-second.example":           {[]Entry{middle, again}, "again"},
			"not-to-be-kept.example":        {[]Entry{middle, gone}, ""},
			"before-not-to-be-kept.example": {[]Entry{gone, middle}, ""},
		} {
			d := domain(t, name)
			for _, e := range tc.puts {
				n.Put(d, e)
			}
			n.settle(t)
			got := ""
			if e := n.Get(t.Context(), d).Entry; e != nil {
				got = e.ID
			}
			if got != tc.want {
				t.Errorf("%s: the store has %q, want %q", name, got, tc.want)
			}
		}
	})
}

// settle waits until all that was put is written.
func (n *node) settle(t *testing.T) {
	t.Helper()
	eventually(t, "all is written", func() bool { return n.waiting() == 0 })
}

// waiting returns how many messages are not written yet.
func (n *node) waiting() (messages int) {
	for _, s := range n.allShards() {
		n.Client.mu.Lock()
		messages += len(s.purges) + len(s.policies)
		n.Client.mu.Unlock()
	}
	return messages
}

// purge purges the domain, and returns the number of the purge.
func (n *node) purge(t *testing.T, d mtasts.Domain) uint64 {
	t.Helper()
	number, err := n.Purge(t.Context(), d)
	if err != nil || number == 0 {
		t.Fatalf("purge number %d: %v", number, err)
	}
	return number
}

// purgeAll purges all domains, and returns the number of the purge.
func (n *node) purgeAll(t *testing.T) uint64 {
	t.Helper()
	number, err := n.PurgeAll(t.Context())
	if err != nil || number == 0 {
		t.Fatalf("purge number %d: %v", number, err)
	}
	return number
}

// knowing returns e as a node that knew of so many purges fetched it.
func (e Entry) knowing(purges uint64) Entry {
	e.Purges = purges
	return e
}

func TestPurge(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, program []string) {
		t.Parallel()
		s := start(t, program)
		a, b := join(t, s.url()), join(t, s.url())
		s.listening(t, 2)
		d, other := domain(t, "example.com"), domain(t, "example.org")
		e := fetched(t, "1", 10*time.Second)
		a.Put(d, e)
		a.Put(other, e)
		a.settle(t)
		number := a.purge(t, d)
		b.Put(d, e) // of a node that had not received the purge
		b.settle(t)
		eventually(t, "both nodes receive it", func() bool {
			isIt := func(c Change) bool { return c.Domain == d && c.Value.Number == number }
			return a.received(isIt) && b.received(isIt)
		})
		v := b.Get(t.Context(), d)
		if v.Entry != nil || !v.Voids(e.Fetched, number-1) || v.Voids(e.Fetched, number) {
			t.Errorf("after the purge: %+v", v)
		}
		if v := b.Get(t.Context(), other); v.Entry == nil || v.Voids(e.Fetched, e.Purges) {
			t.Errorf("the other domain: %+v", v)
		}
		a.Put(d, fetched(t, "2", -time.Second).knowing(number))
		a.settle(t)
		if v := b.Get(t.Context(), d); v.Entry == nil || v.Entry.ID != "2" {
			t.Errorf("after a fetch after the purge: %+v", v)
		}
	})
}

func TestPurgeAll(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, program []string) {
		t.Parallel()
		s := start(t, program)
		a, b := join(t, s.url()), join(t, s.url())
		s.listening(t, 2)
		d, e := domain(t, "example.com"), fetched(t, "1", 10*time.Second)
		a.Put(d, e)
		number := a.purgeAll(t)
		isIt := func(c Change) bool { return c.Domain.IsZero() && c.Value.Number == number }
		eventually(t, "the other node receives it", func() bool { return b.received(isIt) })
		if v := b.Get(t.Context(), d); v.Entry != nil || !v.Voids(e.Fetched, e.Purges) {
			t.Errorf("after the purge: %+v", v)
		}
		late := join(t, s.url())
		eventually(t, "a node that comes later receives it", func() bool { return late.received(isIt) })
		a.Put(d, fetched(t, "2", -time.Second).knowing(number))
		a.settle(t)
		if v := b.Get(t.Context(), d); v.Entry == nil {
			t.Errorf("after a fetch after the purge: %+v", v)
		}
	})
}

func TestLease(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, program []string) {
		t.Parallel()
		s := start(t, program)
		a, b := join(t, s.url()), join(t, s.url())
		d, other := domain(t, "example.com"), domain(t, "example.org")
		got := []bool{a.Lease(t.Context(), d), b.Lease(t.Context(), d), a.Lease(t.Context(), d), b.Lease(t.Context(), other)}
		if diff := cmp.Diff([]bool{true, false, false, true}, got); diff != "" {
			t.Error(diff)
		}
		if life := s.admin.PTTL(t.Context(), "mta-sts:lease:example.com").Val(); life <= 0 || life > LeaseLife {
			t.Errorf("the lease lives for %v", life)
		}
		s.do(t, "DEL", "mta-sts:lease:example.com")
		if !b.Lease(t.Context(), d) {
			t.Error("a lease that has ended is not granted")
		}
	})
}

// A policy is not returned after its max_age.
func TestEnded(t *testing.T) {
	t.Parallel()
	s := start(t, anyServer(t))
	n := join(t, s.url())
	d := domain(t, "example.com")
	e := fetched(t, "1", 86400*time.Second)
	s.do(t, "SET", "mta-sts:example.com", codec{}.encode(d.String(), Value{Entry: &e}))
	if v := n.Get(t.Context(), d); !cmp.Equal(v, Value{}, cmpopts.EquateEmpty()) {
		t.Errorf("Get = %+v", v)
	}
	n.Put(domain(t, "example.org"), e)
	n.settle(t)
	if got := s.do(t, "EXISTS", "mta-sts:example.org"); got != int64(0) {
		t.Errorf("a policy that had ended was written")
	}
}

// Close writes what waits.
func TestClose(t *testing.T) {
	t.Parallel()
	s := start(t, anyServer(t))
	a, b := join(t, s.url()), join(t, s.url())
	for range 50 {
		a.Put(domain(t, "other.example"), fetched(t, "1", time.Minute))
	}
	d := domain(t, "example.com")
	a.Put(d, fetched(t, "1", time.Minute))
	a.Close()
	if v := b.Get(t.Context(), d); v.Entry == nil {
		t.Error("a policy that waited at Close is lost")
	}
	for range warnAfter {
		if v := a.Get(t.Context(), d); v.Entry != nil || !a.Lease(t.Context(), d) {
			t.Error("a closed Client returns a policy or refuses a lease")
		}
	}
	if a.log.String() != "" {
		t.Errorf("logged:\n%s", a.log)
	}
}
