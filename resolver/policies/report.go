package policies

import (
	"log/slog"
	"time"

	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/event"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/store"
)

// Every change of a domain's state is reported once: as an event for the log and,
// except for the record's absence, as a change in the file's history. All these
// functions are called with the domain's lock held.

// reportFetched reports the changes by a policy just fetched, here or by another node.
func (t *Table) reportFetched(d mtasts.Domain, before, now *Entry, at clock.Moment) {
	switch {
	case before == nil && now.policy.MaxAge == 0:
		// It is new to every lookup: no news.
		t.logger.Debug("Policy with max_age 0 is not kept", event.Domain(d.String()))
		return
	case before == nil:
		event.PolicyFound.Log(t.logger, t.about(d, now)...)
		t.record(store.ChangeFound, d, nil, now, "")
		return
	}
	if (before.failure != nil || before.recordGone != 0 || before.ended) && now.recordGone == 0 {
		t.reportRecovered(d, now)
	}
	if before.policy.Text == now.policy.Text {
		return
	}
	added, removed := missing(now.policy.MX, before.policy.MX), missing(before.policy.MX, now.policy.MX)
	about := t.about(d, now, event.OldID(before.id), slog.String("old_mode", before.policy.Mode.String()),
		slog.Any("mx_added", first(added)), slog.Any("mx_removed", first(removed)))
	if before.policy.Mode == mtasts.ModeEnforce && now.policy.Mode != mtasts.ModeEnforce && before.LiveAt(at) != nil {
		t.metrics.downgrades.Inc()
		event.PolicyDowngraded.Log(t.logger, about...)
		t.record(store.ChangeDowngraded, d, before, now, "")
		return
	}
	event.PolicyChanged.Log(t.logger, about...)
	t.record(store.ChangeChanged, d, before, now, "")
}

// reportBroken reports that a domain announces a policy that cannot be used, unless that
// was known before.
func (t *Table) reportBroken(d mtasts.Domain, before, now *Failure) {
	if now.Word == "" || before != nil && before.Word != "" {
		return
	}
	event.PolicyUnavailable.Log(t.logger, event.Domain(d.String()), event.ID(now.ID), slog.String("reason", now.Reason))
	t.record(store.ChangeBroken, d, nil, nil, now.Reason)
}

// reportRecordGone reports that a live policy has no valid record any more.
func (t *Table) reportRecordGone(d mtasts.Domain, e *Entry, reason error) {
	if e.policy.Mode != mtasts.ModeNone {
		event.RecordGone.Log(t.logger, t.about(d, e, event.Reason(reason))...)
	}
}

// reportFailing reports that a live policy cannot be refreshed.
func (t *Table) reportFailing(d mtasts.Domain, e *Entry) {
	if e.policy.Mode != mtasts.ModeNone {
		event.RefreshFailing.Log(t.logger, t.about(d, e, slog.String("reason", e.failure.Reason))...)
		t.record(store.ChangeBroken, d, e, e, e.failure.Reason)
	}
}

// reportRecovered reports that a live policy, or one whose end was reported, can be refreshed
// again.
func (t *Table) reportRecovered(d mtasts.Domain, e *Entry) {
	if e.policy.Mode != mtasts.ModeNone {
		event.RefreshRecovered.Log(t.logger, t.about(d, e)...)
		t.record(store.ChangeRecovered, d, e, e, "")
	}
}

// reportEnd reports that an enforced policy ended without a successor. The reason may
// be nil: then it is the failure's.
func (t *Table) reportEnd(d mtasts.Domain, e *Entry, now clock.Moment, reason error) {
	if e.ended || e.policy.Mode != mtasts.ModeEnforce {
		return
	}
	e.ended = true
	t.save(d, e, now)
	text := "it was not fetched again"
	switch {
	case e.failure != nil && e.failure.Reason != "":
		text = e.failure.Reason
	case reason != nil:
		text = reason.Error()
	case e.failure != nil && e.failure.Word != "":
		text = e.failure.Word // of an earlier process
	}
	event.PolicyExpired.Log(t.logger, t.about(d, e, slog.String("reason", text))...)
	t.record(store.ChangeExpired, d, e, nil, text)
}

// reportMismatch reports that no MX host matches an enforced policy, or that one
// does again.
func (t *Table) reportMismatch(d mtasts.Domain, e *Entry, mismatch bool, hosts []string) {
	about := t.about(d, e, slog.Any("mx_hosts", first(hosts)), slog.Any("patterns", first(e.policy.MX)))
	if !mismatch {
		event.PolicyMatchesAgain.Log(t.logger, about...)
		t.record(store.ChangeMismatchEnded, d, e, e, "")
		return
	}
	event.PolicyMatchesNoMX.Log(t.logger, about...)
	t.record(store.ChangeMismatch, d, e, e, "")
}

func (t *Table) reportPurged(d mtasts.Domain, e *Entry) { t.record(store.ChangePurged, d, e, nil, "") }

func (t *Table) reportPurgedAll(count int) {
	event.PoliciesPurged.Log(t.logger, slog.Int("policies", count))
	t.store.Record(store.Change{At: t.wall(), Kind: store.ChangePurged, Count: count})
}

func (t *Table) about(d mtasts.Domain, e *Entry, more ...slog.Attr) []slog.Attr {
	return append([]slog.Attr{event.Domain(d.String()), event.Mode(e.policy.Mode.String()), event.ID(e.id),
		event.Expires(t.clock.Origin().Wall(e.expires.Get()))}, more...)
}

// record adds to the history. before and now may be nil.
func (t *Table) record(kind store.ChangeKind, d mtasts.Domain, before, now *Entry, detail string) {
	c := store.Change{At: t.wall(), Kind: kind, Domain: d, Detail: detail}
	var had, has []string
	if before != nil {
		c.ID, c.OldMode, had = before.id, before.policy.Mode.String(), before.policy.MX
	}
	if now != nil {
		c.ID, c.NewMode, has = now.id, now.policy.Mode.String(), now.policy.MX
	}
	c.Added, c.Removed = first(missing(has, had)), first(missing(had, has))
	t.store.Record(c)
}

// wall returns the present time by the wall clock.
func (t *Table) wall() time.Time { return t.clock.Origin().Wall(t.clock.Now()) }

// maxNamed bounds how many names of a publisher one report repeats.
const maxNamed = 20

func first(names []string) []string { return names[:min(len(names), maxNamed)] }

// missing returns those of names that others lacks.
func missing(names, others []string) (out []string) {
	has := make(map[string]bool, len(others))
	for _, name := range others {
		has[name] = true
	}
	for _, name := range names {
		if !has[name] {
			out = append(out, name)
		}
	}
	return out
}
