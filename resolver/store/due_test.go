package store

import (
	"testing"
	"time"
)

func TestDue(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]*Store{
		"file":   open(t, filename(t), (&journal{}).logger()),
		"memory": OpenMemory(),
	} {
		at := func(domain string, next time.Time) {
			e := entry(t, domain)
			e.Next = next
			s.Put(e)
		}
		due := func(now time.Time, limit int, want ...string) {
			t.Helper()
			got := s.Due(now, limit)
			for i, e := range got {
				if i >= len(want) || e.Domain.String() != want[i] {
					t.Errorf("%s: Due(%v, %d) has %s at %d, want %v", name, now, limit, e.Domain, i, want)
				}
			}
			if len(got) != len(want) {
				t.Errorf("%s: Due(%v, %d) has %d entries, want %v", name, now, limit, len(got), want)
			}
		}
		next := func(want time.Time) {
			t.Helper()
			got, ok := s.NextDue()
			if !got.Equal(want) || ok == want.IsZero() {
				t.Errorf("%s: NextDue() = %v, %t; want %v", name, got, ok, want)
			}
		}
		check := func() {
			t.Helper()
			due(begin.Add(-time.Second), 10)
			due(begin, 10, "a.example", "b.example")
			due(begin, 1, "a.example")
			due(begin, 0)
			due(begin.Add(time.Hour), 10, "a.example", "b.example", "c.example")
			next(begin)
		}

		due(begin, 10)
		next(time.Time{})
		at("c.example", begin.Add(time.Minute))
		at("b.example", begin)
		at("a.example", begin)
		at("never.example", time.Time{})
		check()
		flush(t, s)
		check()

		// What is pending counts, not what the file has of it.
		at("a.example", begin.Add(2*time.Minute))
		s.Delete(domain(t, "b.example"))
		moved := func() {
			t.Helper()
			due(begin, 10)
			due(begin.Add(time.Hour), 2, "c.example", "a.example")
			due(begin.Add(time.Hour), 1, "c.example")
			next(begin.Add(time.Minute))
		}
		moved()
		flush(t, s)
		moved()
		at("c.example", time.Time{})
		s.Delete(domain(t, "a.example"))
		flush(t, s)
		due(begin.Add(time.Hour), 10)
		next(time.Time{})
	}
}
