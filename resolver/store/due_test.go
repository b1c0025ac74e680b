package store

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"mta-sts-daemon/resolver/clock"
)

func TestDue(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]*Store{
		"file":   open(t, filename(t), (&journal{}).logger()),
		"memory": OpenMemory(machine().Clock()),
	} {
		put := func(domain string, next clock.Moment, failures int) {
			e := entry(t, domain)
			e.Next, e.Failures = next, failures
			s.Put(e)
		}
		wantDue := func(now clock.Moment, failing bool, limit int, want ...string) {
			t.Helper()
			var got []string
			s.Due(now, failing, func(e Entry) bool {
				got = append(got, e.Domain.String())
				return len(got) < limit
			})
			if !slices.Equal(got, want) {
				t.Errorf("%s: due at %v, failing %t: %q, want %q", name, now, failing, got, want)
			}
		}
		check := func() {
			t.Helper()
			wantDue(at(-time.Second), false, 10)
			wantDue(present, false, 10, "a.example", "b.example")
			wantDue(present, false, 1, "a.example")
			wantDue(at(time.Hour), false, 10, "a.example", "b.example", "c.example")
			wantDue(at(time.Hour), true, 10, "g.example", "f.example")
			wantDue(at(time.Minute), true, 10, "g.example")
		}

		wantDue(present, false, 10)
		put("c.example", at(time.Minute), 0)
		put("b.example", present, 0)
		put("a.example", present, 0)
		put("f.example", at(2*time.Minute), 7)
		put("g.example", at(time.Minute), 1)
		put("never.example", 0, 0)
		put("never.example.net", clock.Never, 1)
		check()
		flush(t, s)
		check()

		// Pending changes take precedence over the file.
		put("a.example", at(2*time.Minute), 0)
		put("g.example", at(3*time.Minute), 0)
		s.Delete(domain(t, "b.example"))
		moved := func() {
			t.Helper()
			wantDue(present, false, 10)
			wantDue(at(time.Hour), false, 3, "c.example", "a.example", "g.example")
			wantDue(at(time.Hour), true, 3, "f.example")
		}
		moved()
		flush(t, s)
		moved()
		put("c.example", 0, 0)
		s.Delete(domain(t, "a.example"))
		flush(t, s)
		wantDue(at(time.Hour), false, 10, "g.example")
	}
}

// Due entries come in the order of their times, each once, however many there are
// and whether they are pending or in the file.
func TestDueOrder(t *testing.T) {
	t.Parallel()
	const many = 3 * maxChunk
	s := open(t, filename(t), (&journal{}).logger())
	for n := range many {
		e := numbered(t, n)
		e.Next = at(-time.Duration(n*7919%many) * time.Second)
		s.Put(e)
		if n == many/2 {
			flush(t, s)
		}
	}
	seen := map[string]bool{}
	last := clock.Moment(0)
	for _, e := range due(s, present) {
		if e.Next < last {
			t.Fatalf("%s is due at %v, after one at %v", e.Domain, e.Next, last)
		}
		last, seen[e.Domain.String()] = e.Next, true
	}
	if len(seen) != many {
		t.Errorf("%d entries due, want %d", len(seen), many)
	}
}

// A consumer may write and wait for the disk meanwhile.
func TestDueWhileWriting(t *testing.T) {
	t.Parallel()
	const many = 3 * maxChunk
	s := open(t, filename(t), (&journal{}).logger())
	for n := range many {
		e := numbered(t, n)
		e.Next = at(-time.Minute)
		s.Put(e)
	}
	flush(t, s)
	seen := map[string]int{}
	s.Due(present, false, func(e Entry) bool {
		seen[e.Domain.String()]++
		e.Next = at(time.Hour)
		s.Put(e)
		if len(seen)%100 == 0 {
			flush(t, s)
		}
		return true
	})
	for n := range many {
		if got := seen[numbered(t, n).Domain.String()]; got != 1 {
			t.Errorf("entry %d comes %d times", n, got)
		}
	}
	if left := due(s, present); len(left) > 0 {
		t.Error(fmt.Sprint(len(left), " entries are due still"))
	}
}
