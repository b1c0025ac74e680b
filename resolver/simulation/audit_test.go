package simulation

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/pprof"
	"strconv"
	"strings"
	"time"

	"mta-sts-daemon/resolver"
	"mta-sts-daemon/resolver/event"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/policies"
	"mta-sts-daemon/resolver/store"
)

// audit compares states, metrics, events and history with the model (BEHAVIOUR,
// What the operator sees). It is called when nothing is under way.
func (n *node) audit() {
	w := n.w
	listed := map[mtasts.Domain]resolver.Known{}
	n.r.Policies(func(k resolver.Known) bool {
		listed[k.Domain] = k
		return true
	})
	now := w.nowLocked()
	for _, p := range w.publishers {
		known, _ := n.r.Known(p.domain)
		w.locked(func(instant) { n.auditDomain(p, n.about(p.domain), known, listed[p.domain], now) })
	}
	metrics := n.gather()
	history := n.history()
	goroutines := w.goroutines()
	w.locked(func(instant) {
		if most := len(w.nodes) * (mostIdle + n.settings.Concurrency); goroutines > most {
			w.violation("%d goroutines although nothing is under way", goroutines)
		}
		n.auditOutage()
		n.reports.audit(metrics[datagrams+" full"])
		n.expect("mta_sts_policy_fetches_total", metrics["mta_sts_policy_fetches_total"], n.fetches)
		n.expect("mta_sts_policy_downgrades_total", metrics["mta_sts_policy_downgrades_total"], n.events[event.PolicyDowngraded])
		if n.events[event.PolicyDowngraded] < n.downgrades {
			w.violation("%d downgrades logged, at least %d happened", n.events[event.PolicyDowngraded], n.downgrades)
		}
		for kind, events := range map[store.ChangeKind]int{
			store.ChangeFound:         n.events[event.PolicyFound],
			store.ChangeChanged:       n.events[event.PolicyChanged],
			store.ChangeDowngraded:    n.events[event.PolicyDowngraded],
			store.ChangeExpired:       n.events[event.PolicyExpired],
			store.ChangeBroken:        n.events[event.PolicyUnavailable] + n.events[event.RefreshFailing],
			store.ChangeRecovered:     n.events[event.RefreshRecovered],
			store.ChangeMismatch:      n.events[event.PolicyMatchesNoMX],
			store.ChangeMismatchEnded: n.events[event.PolicyMatchesAgain],
		} {
			const mostWaiting = 1000 // that are not in the file yet; others are dropped
			if got := history[kind] - n.changes[kind]; got != events && !(history[kind] >= mostWaiting && (n.fullSince > n.started || n.inMemory)) {
				w.violation("%d changes of kind %v in the history, %d events in the log", got, kind, events)
			}
		}
		if got, limit := metrics["mta_sts_cache_entries policy"], n.settings.Entries; got > limit {
			w.violation("%d policies in memory, the limit is %d", got, limit)
		}
		if got, limit := metrics["mta_sts_cache_entries negative"], n.settings.NegativeEntries; got > limit {
			w.violation("%d absences in memory, the limit is %d", got, limit)
		}
	})
}

const datagrams = "mta_sts_tlsrpt_datagrams_total"

func (n *node) expect(name string, got, want int) {
	if got != want {
		n.violation("%s is %d, want %d", name, got, want)
	}
}

// auditDomain compares the daemon's state of a domain with the model: known
// alone, listed by "policies".
func (n *node) auditDomain(p *publisher, k *knowledge, known, listed resolver.Known, now instant) {
	l := lookup{domain: k.domain, start: now, end: now}
	if known.Policy != nil && known.State != policies.StateExpired {
		l.policy = known.Policy
		if got := known.Policy.Mode.String(); got != string(known.State) {
			n.violation("%v: state %v, but the policy is of mode %v", k.domain, known.State, got)
		}
	}
	n.judgePolicy(k, l)
	live := n.current(k, now)
	if live == nil {
		return
	}
	n.auditRefused(k, live, known, now)
	judged := live.policy.Mode == mtasts.ModeEnforce && k.judgedMX > max(p.changed, n.started, n.emptied, live.at) && !n.queueFull // then an eviction loses one
	if mismatch := !known.Mismatch.IsZero(); judged && mismatch != (p.mx == mxMoved) {                                             // a null MX is not a mismatch
		n.violation("%v: mismatch %v, but its MX hosts are in state %v", k.domain, mismatch, p.mx)
	}
	switch {
	case listed.Policy == nil || listed.Policy.Text != live.policy.Text:
		n.violation("%v: not among the policies listed, or another one: %+v", k.domain, listed)
	case k.failed.counts() && k.failed.at > max(live.at, n.started) && known.Failure == nil:
		n.violation("%v: the last refresh failed, and no failure is known", k.domain)
	case k.failed.at == 0 && k.seenID != "" && k.lastFetch <= live.at && known.Failure != nil && known.Failure.Word != "":
		n.violation("%v: a failure is known, but the last fetch succeeded: %+v", k.domain, known.Failure)
	}
}

// auditOutage: an outage of the DNS ends with it, whatever names still fail (BEHAVIOUR, DNS failure).
// It goes on if three of them failed after that.
func (n *node) auditOutage() {
	failing := n.flooded
	for _, p := range n.w.publishers {
		if p.unanswered() {
			failing++
		}
	}
	if n.r.DNSFails() && n.w.dns == dnsWorks && failing < 3 && n.w.now()-n.w.dnsSince > time.Minute {
		n.violation("an outage goes on although the DNS answers since %v", n.w.dnsSince)
	}
}

// auditRefused: being refused for load counts as failing once it lasts longer than a quarter
// of the time between refreshes (BEHAVIOUR, a refresh).
func (n *node) auditRefused(k *knowledge, live *fact, known resolver.Known, now instant) {
	interval := max(live.interval, n.settings.RefreshInterval)
	since := max(k.refused, live.at+min(interval, live.policy.MaxAge/2)*11/10, n.started, n.configured, n.disturbed, n.w.dnsSince)
	limit := min(interval, live.policy.MaxAge)/4 + 5*time.Minute
	if n.link != nil {
		limit += leaseSlack
	}
	inUse := now-k.lastLookup < n.settings.Idle/2 && k.askedAt > k.inUseSince && live.boot == n.w.boots
	if k.refused != 0 && now > since+limit && inUse && live.refreshed() && n.w.dns == dnsWorks && known.Failure == nil {
		n.violation("%v: refreshes are refused since %v, and no failure is known", k.domain, k.refused)
	}
}

// mostIdle is how many goroutines a node has when nothing is under way, refreshes apart.
const mostIdle = 30

// goroutines counts the goroutines of the world: play has given them a label.
func (w *world) goroutines() (count int) {
	var profile strings.Builder
	pprof.Lookup("goroutine").WriteTo(&profile, 1)
	for block := range strings.SplitSeq(profile.String(), "\n\n") {
		if strings.Contains(block, strconv.Quote(w.dir)) {
			var n int
			fmt.Sscan(block, &n)
			count += n
		}
	}
	return count
}

// gather returns the metrics' values, by name and by name and kind.
func (n *node) gather() map[string]int {
	values := map[string]int{}
	families, err := n.reg.Gather()
	n.w.check(err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				if l.GetName() == "kind" || name == datagrams {
					name += " " + l.GetValue()
				}
			}
			values[name] += int(m.GetCounter().GetValue() + m.GetGauge().GetValue())
		}
	}
	return values
}

// journal is the log: the model counts events.
type journal struct{ n *node }

func (journal) Enabled(_ context.Context, l slog.Level) bool { return l > slog.LevelDebug }
func (j journal) WithAttrs([]slog.Attr) slog.Handler         { return j }
func (j journal) WithGroup(string) slog.Handler              { return j }

func (j journal) Handle(_ context.Context, r slog.Record) error {
	var e event.Event
	var d mtasts.Domain
	text := r.Message
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case event.Key:
			e = a.Value.Any().(event.Event)
			return true
		case "domain":
			d, _ = mtasts.ParseDomain(a.Value.String())
		}
		text += " " + a.String()
		return true
	})
	j.n.w.locked(func(now instant) {
		j.n.events[e]++
		if e == event.PolicyFound && j.n.link == nil && j.n.about(d).voided == now {
			j.n.violation("%v: a policy is reported as found that a purge has voided", d)
		}
		j.n.w.note("  node %d: log: %s", j.n.number, text)
	})
	return nil
}

// history counts the changes in the history by kind.
func (n *node) history() map[store.ChangeKind]int {
	counts := map[store.ChangeKind]int{}
	changes, _ := n.st.Changes(time.Time{})
	for _, c := range changes {
		counts[c.Kind]++
	}
	return counts
}
