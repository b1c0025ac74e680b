package policies

import (
	"slices"
	"sync/atomic"
	"time"

	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/refresh"
	"mta-sts-daemon/resolver/store"
)

const (
	// maxAhead is how far in the future a fetch of an earlier boot may lie, before
	// the wall clock of then or now counts as wrong. The clocks of two nodes may differ by
	// as much.
	maxAhead = 5 * time.Minute

	// keepExpired is how long an expired policy stays in the file, for operators
	// and for a wall clock that is set later.
	keepExpired = 30 * 24 * time.Hour

	// steadyTime is how long this boot must have gone without a step of the wall
	// clock before a policy is removed as expired.
	steadyTime = 24 * time.Hour

	// MaxRecheck is the longest time for which a record is believed.
	MaxRecheck = time.Hour

	// usedStep is the granularity of Entry.used in memory, usedWorth in the file.
	usedStep  = time.Minute
	usedWorth = time.Hour

	// ShortPause is how much later a refresh comes that was refused for load, for which
	// another node has the lease, or that failed for a reason of this host's.
	ShortPause = time.Minute

	// minRefreshed is the shortest max_age of policies that are refreshed ahead.
	minRefreshed = 10 * time.Minute

	// A record that changed before its policy did is followed up this long after it
	// was seen, and this long after that.
	firstFollowUp  = 5 * time.Minute
	secondFollowUp = time.Hour - firstFollowUp
	followUps      = 2
)

// Entry is a policy in memory. Another fetch makes another Entry.
type Entry struct {
	// These are read by every lookup.
	expires clock.Instant // set again if the wall clock steps and an earlier boot fetched it
	recheck clock.Instant // when the record is due to be asked for again
	used    clock.Instant // when it was last looked up, to usedStep

	policy mtasts.Policy

	// mismatch is since when no MX host matches; 0 if one does. unjudged: that is so of the
	// policy before, which had other patterns. toMX: looked up for mail to the domain's MX
	// hosts. Lookups read these without the domain's lock, under which they are written.
	mismatch       clock.Instant
	unjudged, toMX atomic.Bool

	// These never change.
	id     string
	wall   int64        // of the fetch: by the wall clock, in Unix seconds
	first  int64        // when the fetch began, by the wall clock then: store.Fetched.Original
	at     clock.Moment // of the fetch; Never if it was in another boot, or by another node
	purges uint64       // number of the last purge known when the fetch began

	// refresh is when the policy is due to be fetched again, Never if only a lookup
	// fetches it.
	refresh clock.Instant

	// The domain's lock guards what follows.

	*trouble        // never nil; change replaces it
	followUps uint8 // fetches still to come because the id changed and the text did not
	ended     bool  // its end without a successor has been reported

	judgedMX clock.Moment // when the DNS was asked for the MX hosts judged last; not stored

	// Times as the file has them, to write only differences that are worth it.
	storedRecheck, storedUsed, storedNext clock.Moment
}

// trouble is what few policies have, apart from them because memory has many. A value
// never changes: all policies without trouble share one.
type trouble struct {
	failure    *Failure     // why the policy cannot be refreshed; nil if it can
	tried      *Failure     // the last fetch that failed for another id than failure's; not stored
	recordGone clock.Moment // since when it has no valid record; 0 if it has
	refused    clock.Moment // since when refreshes are refused here; 0 if none was
	leased     clock.Moment // since when another node has the lease; 0 if none was refused
}

var noTrouble trouble

// change changes the entry's trouble. The domain's lock is held.
func (e *Entry) change(fn func(*trouble)) {
	next := *e.trouble
	fn(&next)
	if e.trouble = &next; next == noTrouble {
		e.trouble = &noTrouble
	}
}

// newEntry returns an Entry of a policy that was fetched then.
func newEntry(p mtasts.Policy, id string, f store.Fetched, purges uint64) *Entry {
	e := &Entry{policy: p, id: id, wall: f.Wall.Unix(), at: clock.Never, purges: purges, trouble: &noTrouble}
	e.first = e.wall
	if !f.Original.IsZero() {
		e.first = f.Original.Unix()
	}
	if f.ThisBoot {
		e.at = f.At
	}
	return e
}

// fetched returns when the policy was fetched.
func (e *Entry) fetched() store.Fetched {
	f := store.Fetched{Wall: time.Unix(e.wall, 0).UTC()}
	if e.first != e.wall {
		f.Original = time.Unix(e.first, 0).UTC()
	}
	if e.at != clock.Never {
		f.At, f.ThisBoot = e.at, true
	}
	return f
}

// Policy returns the policy. It must not be changed.
func (e *Entry) Policy() *mtasts.Policy { return &e.policy }

// Began returns when the fetch began, by the wall clock as it was then. The shared store has
// this time, so that a slow fetch replaces no policy that was fetched meanwhile.
func (e *Entry) Began() time.Time { return time.Unix(e.first, 0).UTC() }

// ID returns the policy id of the record seen before the fetch.
func (e *Entry) ID() string { return e.id }

// Fetched returns when the policy was fetched, by the wall clock and in whole seconds.
func (e *Entry) Fetched() time.Time { return e.fetched().Wall }

// Purges returns the number of the last purge that was known when the fetch began.
func (e *Entry) Purges() uint64 { return e.purges }

// LiveAt returns e if it is not nil and has not expired, else nil.
func (e *Entry) LiveAt(now clock.Moment) *Entry {
	if e == nil || now >= e.expires.Get() {
		return nil
	}
	return e
}

// MatchesNoMX reports whether the policy is enforced and no MX host of the domain matches
// it, so that mail is deferred.
func (e *Entry) MatchesNoMX() bool { return e.mismatched() && !e.unjudged.Load() }

// mismatched is MatchesNoMX for the operator: a mismatch ends when the MX hosts are judged.
func (e *Entry) mismatched() bool { return e.mismatch.Get() != 0 }

// ToMX reports whether the domain was looked up for mail to its MX hosts.
func (e *Entry) ToMX() bool { return e.toMX.Load() }

// RecheckDue reports whether the record is due to be asked for again.
func (e *Entry) RecheckDue(now clock.Moment) bool { return now >= e.recheck.Get() }

// RefreshDue reports whether the policy is due to be fetched again.
func (e *Entry) RefreshDue(now clock.Moment) bool { return now >= e.refresh.Get() }

// ClaimRecheck reports whether the caller is the one lookup that waits for the
// record. The claim lapses after the given time unless a discovery sets another.
func (e *Entry) ClaimRecheck(now clock.Moment, lapse time.Duration) bool {
	return e.recheck.Claim(now, now.Add(lapse))
}

// Same reports whether the two, which may be nil, are of one fetch. Eviction makes another
// Entry of it.
func (e *Entry) Same(other *Entry) bool {
	return e == other || e != nil && other != nil && e.id == other.id && e.fetched().Equal(other.fetched())
}

// newer reports whether e replaces other, which may be nil: it knows of a later
// purge, or was fetched later.
func (e *Entry) newer(other *Entry) bool {
	if other == nil || e.purges != other.purges {
		return other == nil || e.purges > other.purges
	}
	return e.wall > other.wall
}

// repeats reports whether e, from another node, tells nothing newer than before: it is a copy of
// before, also after the end of that, or another fetch of the same policy at about the same time as
// before was fetched here in this boot. before ages by time since boot then, e by the wall clock.
func (e *Entry) repeats(before *Entry, now clock.Moment) bool {
	if before == nil || e.purges != before.purges || e.id != before.id || e.policy.Text != before.policy.Text {
		return false
	}
	return e.wall == before.first || before.at != clock.Never && before.LiveAt(now) != nil && e.wall-before.wall <= int64(maxAhead/time.Second)
}

// bytes is about what e takes in memory beyond what every entry does; it counts
// only what publishers control.
func (e *Entry) bytes() int64 {
	const pattern = 32 // an MX host pattern, which mostly shares the text's memory
	return int64(len(e.policy.Text) + pattern*len(e.policy.MX))
}

// inUse reports whether the domain was looked up within the idle time.
func (e *Entry) inUse(now clock.Moment, l *Limits) bool { return now.Sub(e.used.Get()) <= l.Idle }

// next is when the entry needs attention although nobody looks it up: its refresh
// and its end while it is in use, then its removal.
func (e *Entry) next(now clock.Moment, l *Limits) clock.Moment {
	due, end := e.refresh.Get(), e.expires.Get()
	switch {
	case now < end && e.inUse(now, l) && due < end:
		return due
	case !e.ended && e.inUse(min(now, end), l) && e.missesRefresh():
		return end
	}
	return end.Add(keepExpired)
}

// missesRefresh reports whether mail loses protection at the policy's end because
// a refresh failed.
func (e *Entry) missesRefresh() bool {
	return e.policy.Mode == mtasts.ModeEnforce && (e.failure != nil || e.recordGone != 0 || e.refused != 0)
}

// began is when the life of a policy fetched at f began. If a policy of an earlier
// boot seems to have been fetched in the future, either clock was wrong: it counts
// from step, the last one of the wall clock, or when this process began.
func began(f store.Fetched, o clock.Origin, now, step clock.Moment) clock.Moment {
	at := f.Moment(o)
	if !f.ThisBoot && at > now.Add(maxAhead) {
		return step
	}
	return at
}

// judge sets the policy's end. An end that was reported by a wrong clock does not count.
func (e *Entry) judge(o clock.Origin, now, step clock.Moment) {
	e.expires.Set(began(e.fetched(), o, now, step).Add(e.policy.MaxAge))
	e.ended = e.ended && e.LiveAt(now) == nil
}

// plan sets when a policy just fetched is due to be fetched again; before is the
// one that it replaces. random is from 0 up to 1.
func (e *Entry) plan(before *Entry, now clock.Moment, l *Limits, random float64) {
	if before != nil && before.policy.Text == e.policy.Text {
		e.followUps = before.followUps - min(before.followUps, 1)
		if before.id != e.id {
			e.followUps = followUps
		}
	}
	after := refresh.After(l.RefreshInterval, e.policy.MaxAge, random)
	switch {
	case e.followUps == followUps:
		after = min(after, firstFollowUp)
	case e.followUps > 0:
		after = min(after, secondFollowUp)
	case e.policy.Mode == mtasts.ModeNone || e.policy.MaxAge < minRefreshed:
		e.refresh.Set(clock.Never) // RFC 8461 section 3.3; the lookup after its end fetches
		return
	}
	e.refresh.Set(now.Add(after))
}

// toStore returns the entry as it is saved; verdicts are newer than those known. The domain's
// lock is held.
func (t *Table) toStore(d mtasts.Domain, e *Entry, now clock.Moment, verdicts []store.Verdict) store.Entry {
	s := store.Entry{
		Domain:     d,
		ID:         e.id,
		Policy:     e.policy,
		Fetched:    e.fetched(),
		Recheck:    e.recheck.Get(),
		Used:       e.used.Get(),
		Next:       e.next(now, t.limits.Load()),
		RecordGone: e.recordGone,
		Refused:    e.refused,
		Leased:     e.leased,
		Mismatch:   e.mismatch.Get(),
		Unjudged:   e.unjudged.Load(),
		ToMX:       e.ToMX(),
		Ended:      e.ended,
		FollowUps:  int(e.followUps),
		Purges:     e.purges,
	}
	before, _ := t.store.Get(d) // memory may have evicted some of its verdicts
	for _, v := range slices.Concat(verdicts, t.verdicts.Stored(d), before.Verdicts) {
		if !slices.ContainsFunc(s.Verdicts, func(have store.Verdict) bool { return have.MX == v.MX && have.Port == v.Port }) {
			s.Verdicts = append(s.Verdicts, v)
		}
	}
	if f := e.failure; f != nil {
		s.FailedID, s.FailedWord, s.Failures, s.RetryAt, s.FailingSince = f.ID, f.Word, f.Count, f.Retry, f.Since
	}
	return s
}

// fromStore returns the entry that was saved, perhaps in an earlier boot
// whose wall clock was wrong.
func (t *Table) fromStore(s store.Entry, now clock.Moment) *Entry {
	e := newEntry(s.Policy, s.ID, s.Fetched, s.Purges)
	e.followUps, e.ended = uint8(s.FollowUps), s.Ended
	e.unjudged.Store(s.Unjudged)
	e.toMX.Store(s.ToMX)
	o := t.clock.Origin()
	e.judge(o, now, t.clock.LastStep())
	e.mismatch.Set(s.Mismatch)
	e.recheck.Set(min(s.Recheck, now.Add(MaxRecheck)))
	e.used.Set(min(s.Used, now))
	e.refresh.Set(clock.Never)
	if s.FollowUps > 0 || s.Policy.Mode != mtasts.ModeNone && s.Policy.MaxAge >= minRefreshed {
		// If Next is the removal, the policy was left alone; it is due no later than
		// chance would have had it. Else it may be due later because an attempt failed, or
		// was put off until after the policy's end.
		latest := began(e.fetched(), o, now, t.clock.LastStep()).Add(refresh.After(t.limits.Load().RefreshInterval, s.Policy.MaxAge, 1))
		if s.Next < e.expires.Get().Add(keepExpired/2) {
			latest = max(latest, now.Add(refresh.LastRetry))
		} else if s.Refused != 0 || s.Failures > 0 {
			latest = max(latest, now.Add(refresh.FirstRetry))
		}
		e.refresh.Set(min(s.Next, latest))
	}
	e.change(func(t *trouble) {
		t.recordGone, t.refused, t.leased = s.RecordGone, min(s.Refused, now), min(s.Leased, now)
		if s.Failures > 0 {
			t.failure = &Failure{Word: s.FailedWord, ID: s.FailedID, Count: s.Failures, Since: s.FailingSince,
				Retry: retryAt(s, now), ByClock: true} // not saved, so it may be
		}
	})
	e.noteStored(s.Next)
	e.storedRecheck = s.Recheck // not the one that was cut
	return e
}

// retryAt returns when the fetch that failed may be made again. If that is later than it
// can be, the clock was ahead, or is behind: then it may be made now.
func retryAt(s store.Entry, now clock.Moment) clock.Moment {
	const rounded = time.Second // in the file
	if s.RetryAt > now.Add(refresh.Backoff(s.Failures)+rounded) {
		return now
	}
	return s.RetryAt
}

// noteStored notes that the file has all of the entry.
func (e *Entry) noteStored(next clock.Moment) {
	e.storedRecheck, e.storedUsed, e.storedNext = e.recheck.Get(), e.used.Get(), next
}

// hasNews reports whether the file lacks something that is worth a write.
func (e *Entry) hasNews(next clock.Moment) bool {
	return e.recheck.Get() != e.storedRecheck || next != e.storedNext ||
		e.used.Get().Sub(e.storedUsed) > usedWorth
}
