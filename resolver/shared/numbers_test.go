package shared

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

func withNumber(number uint64) func(*Options) {
	return func(o *Options) {
		o.Purges = &inMemory{}
		o.Purges.RaisePurges(number)
	}
}

func TestVoids(t *testing.T) {
	t.Parallel()
	numbered, timed := Value{Purged: now, Number: 7}, Value{Purged: now}
	for _, tc := range []struct {
		name    string
		v       Value
		fetched time.Time
		purges  uint64
		want    bool
	}{
		{"nothing", Value{}, now, 0, false},
		{"before", numbered, now.Add(-time.Hour), 6, true},
		{"before, by a node whose clock is 2 days ahead", numbered, now.Add(48 * time.Hour), 6, true},
		{"before, by a daemon without numbers", numbered, now.Add(time.Hour), 0, true},
		{"after", numbered, now.Add(time.Hour), 7, false},
		{"after, by a node whose clock is 2 days slow", numbered, now.Add(-48 * time.Hour), 7, false},
		{"after another purge too", numbered, now, 8, false},
		{"before a purge without number", timed, now.Add(-time.Second), 9, true},
		{"in its second", timed, now, 9, true},
		{"after a purge without number", timed, now.Add(time.Second), 0, false},
	} {
		if got := tc.v.Voids(tc.fetched, tc.purges); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

// A policy fetched while a node's clock was ahead does not survive another node's
// purge, nor does the purge of such a node keep out what is fetched after it.
func TestPurgeWithClockAhead(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, program []string) {
		t.Parallel()
		s := start(t, program)
		a, b := join(t, s.url(), withKey(string(key))), join(t, s.url(), withKey(string(key)))
		s.listening(t, 2)
		d := domain(t, "example.com")
		for _, ahead := range []time.Duration{4 * time.Minute, 48 * time.Hour} {
			e := fetched(t, "1", -ahead).knowing(a.purges.Purges())
			a.Put(d, e)
			a.settle(t)
			number := b.purge(t, d)
			if v := a.Get(t.Context(), d); v.Entry != nil || !v.Voids(e.Fetched, e.Purges) {
				t.Errorf("%v ahead, after the purge: %+v", ahead, v)
			}
			eventually(t, "the node with that policy receives the purge", func() bool {
				return a.received(func(c Change) bool { return c.Domain == d && c.Value.Voids(e.Fetched, e.Purges) })
			})
			// The purge as a node would have written it whose clock is ahead.
			purged := Value{Purged: time.Now().Add(ahead), Number: number}
			s.do(t, "SET", "mta-sts:example.com", codec{key}.encode("example.com", purged))
			if v := a.Get(t.Context(), d); v.Number != number {
				t.Errorf("%v ahead, the purge: %+v", ahead, v)
			}
			a.Put(d, fetched(t, "2", 0).knowing(number))
			a.settle(t)
			if v := b.Get(t.Context(), d); v.Entry == nil || v.Entry.ID != "2" {
				t.Errorf("%v ahead, after a fetch after the purge: %+v", ahead, v)
			}
		}
	})
}

// Purges of all nodes at the same time have different numbers, each higher than
// those that its node had seen.
func TestNumbersAreUnique(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, program []string) {
		t.Parallel()
		s := start(t, program)
		nodes := []*node{join(t, s.url(), withNumber(41)), join(t, s.url()), join(t, s.url())}
		eventually(t, "the number of one node reaches the others", func() bool {
			return !slices.ContainsFunc(nodes, func(n *node) bool { return n.purges.Purges() < 41 })
		})
		const each = 20
		var mu sync.Mutex
		var numbers []uint64
		var all sync.WaitGroup
		for i, n := range nodes {
			all.Go(func() {
				for j := range each {
					seen := n.purges.Purges()
					number, err := n.Purge(t.Context(), domain(t, fmt.Sprintf("d%d.n%d.example", j, i)))
					if err != nil || number <= seen || n.purges.Purges() < number {
						t.Errorf("number %d after %d: %v", number, seen, err)
					}
					mu.Lock()
					numbers = append(numbers, number)
					mu.Unlock()
				}
			})
		}
		all.Wait()
		slices.Sort(numbers)
		if unique := len(slices.Compact(slices.Clone(numbers))); unique != len(nodes)*each || numbers[0] != 42 {
			t.Errorf("%d numbers for %d purges: %d", unique, len(nodes)*each, numbers)
		}
	})
}

// The nodes restore a number that the store has lost, or that was replaced by something
// else.
func TestLostNumber(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, program []string) {
		t.Parallel()
		s := start(t, program)
		a, b := join(t, s.url(), withNumber(100)), join(t, s.url())
		for name, lose := range map[string][]any{
			"deleted":   {"DEL", "mta-sts:purges"},
			"flushed":   {"FLUSHALL"},
			"lower":     {"SET", "mta-sts:purges", "5"},
			"text":      {"SET", "mta-sts:purges", "what is this"},
			"too high":  {"SET", "mta-sts:purges", "9999999999999999999"},
			"too long":  {"SET", "mta-sts:purges", strings.Repeat("9", 1<<20)},
			"a leap":    {"SET", "mta-sts:purges", strconv.Itoa(maxLeap + 1000)},
			"no string": {"EVAL", "redis.call('DEL', KEYS[1]) return redis.call('LPUSH', KEYS[1], 'x')", 1, "mta-sts:purges"},
		} {
			before := a.purges.Purges()
			s.do(t, lose...)
			eventually(t, "the number is back: "+name, func() bool {
				got, err := s.admin.Get(t.Context(), "mta-sts:purges").Uint64()
				return err == nil && got == before
			})
			if number := b.purge(t, domain(t, "example.com")); number != before+1 {
				t.Errorf("%s: a purge has number %d after %d", name, number, before)
			}
			eventually(t, "the other node has seen it", func() bool { return a.purges.Purges() == before+1 })
		}
	})
}

// A node that has missed numbers can purge, also if the store has lost them: it learns
// the number from the domain's value.
func TestPurgeBehind(t *testing.T) {
	t.Parallel()
	s := start(t, anyServer(t))
	quiet := func(o *Options) { o.testingOnlyPace.steady = time.Hour }
	a := join(t, s.url(), quiet, withNumber(50))
	d := domain(t, "example.com")
	a.Put(d, fetched(t, "1", time.Minute).knowing(50))
	a.settle(t)
	s.do(t, "DEL", "mta-sts:purges")
	b := join(t, s.url(), quiet)
	if number := b.purge(t, d); number <= 50 {
		t.Errorf("the purge has number %d", number)
	}
	if v := a.Get(t.Context(), d); v.Entry != nil {
		t.Errorf("after the purge: %+v", v)
	}
}

// beforeNumbers is keepNewer as daemons of the version before have it.
var beforeNumbers = redis.NewScript(`
local old = redis.pcall('GETRANGE', KEYS[1], 0, 15)
if type(old) == 'string' then
	local time = tonumber(string.match(old, '^(%d+) '))
	if time and time > tonumber(ARGV[2]) and time <= tonumber(ARGV[3]) then
		return 0
	end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[4])
redis.call('PUBLISH', ARGV[5], ARGV[6] .. '\n' .. ARGV[1])
return 1
`)

// putBefore puts a value as a daemon of the version before does.
func (s *server) putBefore(t *testing.T, name, value string, at time.Time) {
	t.Helper()
	err := beforeNumbers.Run(t.Context(), s.admin, []string{"mta-sts:" + name}, value, at.Unix(),
		time.Now().Add(5*time.Minute).Unix(), time.Hour.Milliseconds(), "mta-sts:changes", name).Err()
	if err != nil {
		t.Fatal(err)
	}
}

// Daemons of the version before, whose values have no number, use the same store.
func TestVersionBefore(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, program []string) {
		t.Parallel()
		s := start(t, program)
		n := join(t, s.url())
		s.listening(t, 1)
		at := func(ago time.Duration) time.Time { return time.Now().Add(-ago).Truncate(time.Second).UTC() }
		policyBefore := func(name string, id string, at time.Time) {
			s.putBefore(t, name, fmt.Sprintf("%d 1 policy -\nid: %s\nrecheck: %d\n\n%s", at.Unix(), id, at.Add(time.Hour).Unix(), enforced), at)
		}
		purgeBefore := func(name string, at time.Time) { s.putBefore(t, name, fmt.Sprintf("%d 1 purge -\n", at.Unix()), at) }
		id := func(name string) string {
			if e := n.Get(t.Context(), domain(t, name)).Entry; e != nil {
				return e.ID
			}
			return ""
		}
		want := func(what, name, want string) {
			t.Helper()
			if got := id(name); got != want {
				t.Errorf("%s: %q is known, want %q", what, got, want)
			}
		}

		policyBefore("old.example", "old", at(time.Minute))
		want("a policy of theirs", "old.example", "old")
		n.Put(domain(t, "old.example"), fetched(t, "new", 10*time.Second))
		n.settle(t)
		want("a newer one of ours", "old.example", "new")
		policyBefore("old.example", "older", at(time.Minute))
		want("an older one of theirs", "old.example", "new")
		policyBefore("old.example", "newest", at(5*time.Second))
		want("a newer one of theirs", "old.example", "newest")

		purgeBefore("old.example", at(time.Second))
		v := n.Get(t.Context(), domain(t, "old.example"))
		if v.Entry != nil || !v.Voids(at(2*time.Second), 99) || v.Voids(at(-time.Minute), 0) {
			t.Errorf("a purge of theirs: %+v", v)
		}
		eventually(t, "a purge of theirs is received", func() bool {
			return n.received(func(c Change) bool {
				return c.Domain.String() == "old.example" && !c.Value.Purged.IsZero() && c.Value.Number == 0
			})
		})

		// A policy that another node fetched before our purge does not come back,
		// nor one that was fetched with a clock ahead.
		n.Put(domain(t, "purged.example"), fetched(t, "new", time.Minute))
		number := n.purge(t, domain(t, "purged.example"))
		policyBefore("purged.example", "late", at(time.Hour))
		want("an old policy of theirs after a purge", "purged.example", "")
		n.Put(domain(t, "purged.example"), fetched(t, "again", 0).knowing(number))
		n.settle(t)
		want("a policy after the purge", "purged.example", "again")

		purgeBefore("*", at(-time.Second))
		eventually(t, "their purge of all domains is received", func() bool {
			return n.received(func(c Change) bool { return c.Domain.IsZero() && c.Value.Voids(at(0), 99) })
		})
		want("their purge of all domains", "purged.example", "")
	})
}

// A value that was written without the key cannot reject policies by a high number. A
// value of a later version stays.
func TestForgedNumber(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, program []string) {
		t.Parallel()
		s := start(t, program)
		n := join(t, s.url(), withKey(string(key)))
		e := fetched(t, "1", time.Minute).knowing(1000)
		forged := codec{}.encode("example.com", Value{Entry: &e})
		purge := codec{}.encode("example.com", Value{Purged: time.Now(), Number: 1000})
		for name, tc := range map[string]struct {
			value string
			stays bool
		}{
			"policy.example":        {forged, false},
			"purge.example":         {purge, false},
			"other-domain.example":  {codec{key}.encode("example.com", Value{Entry: &e}), false},
			"no-policy.example":     {strings.Replace(forged, "\n\n", "\n", 1), false},
			"later-version.example": {strings.Replace(forged, " 1 ", " 2 ", 1), true},
			"leap.example":          {strings.Replace(forged, ": 1000\n", ": 99999999999999\n", 1), false},
			"no-number.example":     {strings.Replace(forged, ": 1000\n", ": "+strings.Repeat("9", 99)+"\n", 1), false},
		} {
			s.do(t, "SET", "mta-sts:"+name, tc.value)
			n.Put(domain(t, name), fetched(t, "2", time.Second))
			n.settle(t)
			if stays := s.do(t, "GET", "mta-sts:"+name) == tc.value; stays != tc.stays {
				t.Errorf("%s stays: %v, want %v", name, stays, tc.stays)
			}
		}
		if seen := n.purges.Purges(); seen != 0 {
			t.Errorf("the node has seen the number %d", seen)
		}
	})
}
