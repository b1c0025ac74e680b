package simulation

import (
	"slices"
	"time"

	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/policies"
)

// The rules for answers, fetches and refreshes. Those for load are in load_test.go, those for what
// operators see in audit_test.go, those for TLSRPT in reports_test.go.

// lookup is one lookup and its answer.
type lookup struct {
	domain     mtasts.Domain
	start, end instant
	policy     *mtasts.Policy
	kind       dane.Kind
	unknown    error             // DANE cannot be known now
	failure    *policies.Failure // to be reported to the domain
	later      bool              // it may be reported when the discovery has ended

	joined bool // a discovery of the domain, which may have failed, was under way
	alone  bool // no other lookup of the domain was under way, nor did one claim the record just before
	first  bool // alone, in this state of the DNS, and nothing was known of a failure or an absence
}

// judgePolicy checks an answer against the versions in force between the lookup's start
// and its end:
//
//   - a live policy is never answered as absent, unless replaced or purged (RFC 8461
//     sections 3.3 and 5.1);
//   - nothing is answered past its end (BEHAVIOUR, life and Clock);
//   - a purged or replaced policy does not come back.
func (n *node) judgePolicy(k *knowledge, l lookup) {
	why := "that was never in force"
	for i := len(k.versions) - 1; i >= 0; i-- {
		v := k.versions[i]
		if v.from > l.end {
			continue
		}
		var must, may bool
		if v.fact != nil {
			must, may = n.lives(v.fact, l.start)
			mustAtEnd, _ := n.lives(v.fact, l.end)
			must = must && mustAtEnd
		}
		switch {
		case l.policy == nil && !must:
			return
		case l.policy != nil && v.fact != nil && l.policy.Text == v.fact.policy.Text:
			if may {
				return
			}
			why = "past its end"
		}
		if v.from < l.start && !v.maybe {
			break // older ones were not in force any more
		}
	}
	if l.policy == nil {
		n.violation("%v: a live policy was answered as absent (lookup from %v): %v", k.domain, l.start, k.describe())
		return
	}
	n.violation("%v: answered a policy %s (lookup from %v): %v %q; known: %v", k.domain, why, l.start, l.policy.Mode, l.policy.Text, k.describe())
}

// judgeDiscovery: when DNS and policy host can be asked and no failure is held against the
// domain any more, a lookup waits for the policy and gets it (BEHAVIOUR, DNS failure; no
// policy; RFC 8461 section 5.1).
func (n *node) judgeDiscovery(k *knowledge, p *publisher, l lookup) {
	switch {
	case l.policy != nil:
	case p == nil, !p.healthy(), !n.undisturbed(p, l):
	case p.recordDelay+p.hostDelay > n.settings.AnswerTimeout/4: // it may not be discovered in time
	case l.joined:
	case l.start < k.blocked, l.start < n.blockedBy(k.dns), l.start <= n.overloaded+stored:
	case n.queueFull: // a policy evicted while its discovery is under way may be lost
	default:
		n.violation("%v: no policy although it can be discovered (lookup from %v; blocked until %v, DNS until %v)",
			k.domain, l.start, k.blocked, n.blockedBy(k.dns))
	}
}

// judgePatience: in an outage the first lookup of an unknown domain waits for its end, as a
// first lookup does (BEHAVIOUR, DNS failure).
func (n *node) judgePatience(k *knowledge, l lookup) {
	out := n.w.dns != dnsWorks && max(n.w.dnsSince, n.started, n.configured) < l.start
	if out && l.first && l.policy == nil && l.end-l.start < n.settings.AnswerTimeout {
		n.violation("%v: a lookup in an outage waited %v only", k.domain, l.end-l.start)
	}
}

// judgeWait: a first lookup that waits in an outage gets the policy if the outage ends in time
// (BEHAVIOUR, DNS failure: one probe a second).
func (n *node) judgeWait(k *knowledge, p *publisher, l lookup) {
	const ended, discovery = 2 * time.Second, time.Second
	switch {
	case l.policy != nil, !l.first:
	case p == nil, !p.healthy(), p.changed > l.start, p.recordDelay+p.hostDelay > discovery/2:
	case n.pastOutage == 0, l.start < max(n.pastOutage, n.started, n.configured, k.purged): // it did not begin in a known outage
	case n.w.dns != dnsWorks, n.w.dnsSince < l.start, n.w.dnsSince > l.end-ended-discovery: // the outage did not end in time
	case n.flooded > 0, slices.ContainsFunc(n.w.publishers, (*publisher).unanswered): // probes for names that fail by themselves may come first
	case n.queueFull, l.end <= n.overloaded+stored: // as in judgeDiscovery
	default:
		n.violation("%v: no policy although an outage ended at %v (lookup from %v)", k.domain, n.w.dnsSince, l.start)
	}
}

// undisturbed: nothing that concerns the domain has changed during the lookup.
func (n *node) undisturbed(p *publisher, l lookup) bool {
	return n.w.dns == dnsWorks && max(p.changed, n.w.dnsSince, n.started, n.configured) < l.start
}

// blockedBy is until when a failure of the DNS keeps lookups from asking again.
func (n *node) blockedBy(t trouble) instant {
	back := n.w.dnsSince + 2*time.Second // one probe a second
	switch {
	case t.at == 0, t.out && n.w.dnsSince >= t.at+outageNoticed:
		return back
	case t.out && n.w.dnsSince >= t.at && n.flooded == 0: // the outage may be noticed when it is over
		return n.w.dnsSince + 12*time.Second
	}
	retry := 30 * time.Second << min(t.count-1, 5)
	return max(t.at+min(retry, longestDNSRetry), back)
}

// judgeNews: the first lookup after the record's TTL waits for the record, and for a new
// policy (BEHAVIOUR, new id; RFC 8461 section 3.1).
func (n *node) judgeNews(k *knowledge, p *publisher, l lookup) {
	live := n.current(k, l.start)
	asked := k.askedAt >= l.start
	switch {
	case live == nil, p == nil, !n.undisturbed(p, l):
	case !l.alone: // it may not wait for what another lookup has asked
	case n.troubled(l.start), p.recordDelay > n.settings.RecheckWait/4: // it may not wait so long
	case n.queueFull: // an eviction loses when the record is due
	case !asked && l.start >= k.recheckDue+stored:
		n.violation("%v: the record was due, and not asked for (lookup from %v, due at %v)", k.domain, l.start, k.recheckDue)
	case !asked, !p.healthy(), p.recordID() == live.id:
	case p.hostDelay > n.settings.RecheckWait/4: // it may not wait so long
	case k.failed.id == p.recordID() && k.failed.at != 0: // RFC 8461 section 3.3
	case l.policy == nil, l.policy != nil && l.policy.Text != p.text:
		n.violation("%v: a new policy is not in force (lookup from %v)", k.domain, l.start)
	}
}

// troubled: after a question that failed or was slow, lookups do not wait for others until
// one was answered (BEHAVIOUR, new id).
func (n *node) troubled(at instant) bool {
	return n.answered <= n.trouble || at <= n.answered || at < n.trouble+claim
}

// judgeDANE: DANE takes precedence over policies (RFC 8461 section 2): the answer has the
// last verdict, TEMP only without a usable one, and a new verdict in time (BEHAVIOUR, DANE).
func (n *node) judgeDANE(k *knowledge, p *publisher, l lookup) {
	if !n.settings.dane || n.configured >= l.start {
		return
	}
	can := p != nil && p.kind != 0 && n.undisturbed(p, l) && l.start > n.blockedBy(k.dane) && l.start > n.overloaded+stored
	if l.unknown != nil {
		last := *k.lastVerdict()
		switch {
		case can:
			n.violation("%v: TEMP although DANE can be looked up (lookup from %v)", k.domain, l.start)
		case last.kind == 0, last.maybe, last.from >= l.start, l.end >= last.until+verdictHold-time.Minute:
		case last.boot != n.w.boots: // the wall clock judges
		case last.from > n.evicting, last.saved && n.current(k, l.start) != nil: // in memory, or in the file next to the policy
			n.violation("%v: TEMP although there is a verdict: %v", k.domain, last)
		}
		return
	}
	for i := len(k.verdicts) - 1; i >= 0; i-- {
		v := k.verdicts[i]
		if v.from > l.end {
			continue
		}
		if v.kind == l.kind && (l.start < v.until+verdictHold+time.Minute || v.boot != n.w.boots) { // after a boot the wall clock judges
			if can && l.alone && p.kind != dane.Unknown && v.boot == n.w.boots && v.until < l.start && !n.troubled(l.start) {
				n.violation("%v: DANE %v although it ended at %v and can be looked up", k.domain, l.kind, v.until)
			}
			return
		}
		if v.from < l.start && !v.maybe && (v.saved || v.from > n.evicting) { // else memory may have evicted it
			break
		}
	}
	n.violation("%v: DANE %v, known: %v", k.domain, l.kind, k.verdicts)
}

// judgeFetch checks the start of a fetch: one discovery per domain at a time; one failed
// attempt per id in five minutes (RFC 8461 section 3.3); a policy of less than ten minutes
// is fetched for lookups alone (BEHAVIOUR, a refresh).
func (n *node) judgeFetch(k *knowledge, f fetch) {
	if k.fetching > 1 {
		n.violation("%v: %d fetches at the same time", k.domain, k.fetching)
	}
	if k.forced > 0 { // an operator's refresh keeps no pause
		return
	}
	n.noteEvictions(f.began) // a failure since the last lookup may be gone from memory
	live := n.current(k, f.began)
	for failed := &k.failed; failed != nil; failed = failed.before {
		if failed.excused && live == nil && n.mayLive(k, failed.at) {
			continue // the policy has ended since, and a lookup tries at once
		}
		if f.id == failed.id && failed.at > n.evicting && !failed.volatile && f.began-failed.at < failedPause-stored {
			n.violation("%v: fetched %v after a failure for the same id %s", k.domain, f.began-failed.at, f.id)
		}
	}
	if live != nil && live.policy.MaxAge < 10*time.Minute && f.id == live.id && live.mostFollowUps == 0 {
		n.violation("%v: a policy of %v was fetched without a lookup", k.domain, live.policy.MaxAge)
	}
}

// noteEvictions notes that memory has too little room for all domains.
func (n *node) noteEvictions(now instant) {
	if all := len(n.w.publishers) + n.flooded; n.settings.NegativeEntries <= all || n.settings.Entries < len(n.w.publishers) {
		n.evicting = now
	}
}

// judgeRefreshes: refreshes of domains in use are not late (BEHAVIOUR, same id; a refresh).
func (n *node) judgeRefreshes(now instant) {
	slack := time.Minute
	if n.link != nil {
		slack += leaseSlack
	}
	if n.fewWorkers() { // each fetch may take until it times out
		slack += 2 * time.Duration(n.healthyPublishers()) * hostTimeout / time.Duration(n.settings.Concurrency)
	}
	for _, p := range n.w.publishers {
		k := n.about(p.domain)
		if n.queueFull { // an eviction loses when the domain was last looked up
			k.inUseSince = now
		}
		f := n.current(k, now)
		if f == nil || n.refreshExcused(k, p, f, now) {
			continue
		}
		if due := n.refreshDue(k, f); now > due+slack && due < f.at+f.policy.MaxAge {
			n.violation("%v: refresh late: due at %v, fetched at %v, failed at %v", k.domain, due, f.at, k.failed.at)
		}
	}
}

// refreshExcused returns whether the policy f may be left alone now.
func (n *node) refreshExcused(k *knowledge, p *publisher, f *fact, now instant) bool {
	switch {
	case k.fetching > 0:
	case n.followUps(k, f) == 0 && !f.refreshed():
	case now-k.lastLookup > n.settings.Idle/2, k.askedAt < k.inUseSince: // it may be out of use
	case k.lastLookup < n.w.booted, f.boot != n.w.boots && k.askedAt < n.started: // until it is looked up, its times are by the wall clock of then
	case n.w.dns != dnsWorks:
	case p.unanswered() && n.r.DNSFails(): // three such names make an outage (auditOutage), which this one's answer cannot end
	case n.fewWorkers() && k.failed.at != 0: // failing domains may wait for one another
	default:
		return false
	}
	return true
}

// followUps returns how many fetches because of a new id with the old text are due for certain.
func (n *node) followUps(k *knowledge, f *fact) int {
	if f.boot != n.w.boots || k.inUseSince > f.at || n.link != nil { // it may follow up with the next refresh, or another node does
		return 0
	}
	return f.followUps
}

// refreshDue returns when the policy f is due to be fetched again.
func (n *node) refreshDue(k *knowledge, f *fact) (due instant) {
	after := min(max(f.interval, n.settings.RefreshInterval), f.policy.MaxAge/2) * 11 / 10
	switch n.followUps(k, f) { // BEHAVIOUR, new id
	case 2:
		after = min(after, 5*time.Minute)
	case 1:
		after = min(after, time.Hour)
	}
	due = max(f.at+after, n.started, n.configured, n.w.dnsSince, n.disturbed, k.inUseSince)
	if f.boot != n.w.boots || n.disturbed > f.at { // it was planned by another clock
		due = max(due, max(n.started, n.disturbed, k.read)+after)
	}
	if k.lastFetch > f.at { // a failure that is not the publisher's puts it off by a minute
		due = max(due, k.lastFetch+2*time.Minute)
	}
	if k.lastFetch > f.at && k.lastFetch < n.started { // of the process before: the file may have its failure
		due = max(due, k.lastFetch+longestRetry)
	}
	if k.failed.at != 0 {
		due = max(due, k.failed.at+min(failedPause<<min(k.failed.count-1, 4), longestRetry))
	}
	return due
}

// fewWorkers: refreshes may have to wait for one another.
func (n *node) fewWorkers() bool { return n.settings.Concurrency < len(n.w.publishers) }

func (n *node) healthyPublishers() (count int) {
	for _, p := range n.w.publishers {
		if p.healthy() {
			count++
		}
	}
	return count
}
