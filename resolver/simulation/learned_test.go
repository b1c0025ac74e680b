package simulation

import (
	"time"

	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/dnsclient"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/policyhost"
)

func (n *node) askedTXT(d mtasts.Domain) {
	n.countQuestion()
	n.countStranger(d, &n.strangersAsked, 1, mostQuestions)
	k := n.about(d)
	k.asking++
	k.askedAt = n.w.now()
}

func (n *node) answeredTXT(d mtasts.Domain, began instant, a dnsclient.Answer[string], err error, cancelled bool) {
	k, now := n.about(d), n.w.now()
	k.asking--
	n.countStranger(d, &n.strangersAsked, -1, mostQuestions)
	if cancelled {
		return
	}
	if now-began > n.settings.RecheckWait/2 || err != nil {
		n.trouble = now
	}
	if err != nil {
		out := n.w.dns != dnsWorks
		if out && n.outageFrom == 0 {
			n.outageFrom, n.questions = now+outageNoticed, 0
		}
		n.fail(&k.dns, out && n.w.dnsSince <= began)
		k.recheckDue = max(k.recheckDue, now+30*time.Second)
		k.seenID = ""
		n.w.note("  node %d: TXT of %v: %v", n.number, d, err)
		return
	}
	if n.trouble < now && n.answered <= n.trouble {
		n.answered = now
	}
	if k.looking > 0 {
		k.judgedMX = now
	}
	k.dns = trouble{}
	k.recheckDue = now + recordLife(a.TTL)
	record, invalid := mtasts.ParseRecord(a.Records)
	k.seenID = record.ID
	if invalid != nil {
		k.seenID = ""
		k.blocked = max(k.blocked, now+recordLife(a.TTL))
	}
	n.w.note("  node %d: TXT of %v: %q %v", n.number, d, k.seenID, a.TTL)
}

// fail counts a question that was not answered; out: in an outage for everybody.
func (n *node) fail(t *trouble, out bool) {
	noticed := n.pastOutage != 0 && n.pastOutage < n.w.dnsSince && t.at >= n.pastOutage-outageNoticed
	if t.out && !out && noticed {
		t.count = 0
	}
	t.at, t.out = n.w.now(), out && (t.at == 0 || t.out)
	t.count++
}

// fetch is a fetch under way.
type fetch struct {
	began  instant
	id     string // of the record that led to it
	life   int
	purges uint64 // number of the last purge that was known
	failed bool   // a refresh of a policy whose last one failed
}

func (n *node) beginFetch(d mtasts.Domain, now instant) fetch {
	k := n.about(d)
	k.fetching++
	n.countStranger(d, &n.strangersFetched, 1, mostFetches)
	f := fetch{began: now, id: k.seenID, life: n.life, purges: n.st.Purges()}
	outage := n.w.dns != dnsWorks && k.askedAt < n.w.dnsSince // the record was not asked for
	if last := k.last(); last.fact != nil && (f.id == "" || outage) {
		f.id = last.fact.id // RFC 8461 section 10.2
	}
	n.judgeFetch(k, f)
	if live := n.current(k, now); live != nil && k.failed.counts() && k.failed.saved && k.failed.at > live.at && k.looking == 0 && k.forced == 0 {
		f.failed = true
		n.refreshingFailed++
		n.judgeFairness()
	}
	return f
}

func (n *node) endFetch(d mtasts.Domain, f fetch, now instant, text string, err error, cancelled bool) {
	k := n.about(d)
	k.fetching--
	k.lastFetch = now
	n.countStranger(d, &n.strangersFetched, -1, mostFetches)
	if f.failed {
		n.refreshingFailed--
	}
	if cancelled || f.life != n.life {
		return
	}
	if now-f.began > n.settings.RecheckWait/2 {
		n.trouble = now
	}
	policy, invalid := mtasts.ParsePolicy(text)
	if err == nil {
		err = invalid
	}
	n.w.note("  node %d: fetch for %v: %v %v", n.number, d, err, policy.Mode)
	n.noteReach(now, err)
	if err != nil {
		n.failedFetch(k, f, now, err)
	} else {
		n.fetched(k, f, now, policy)
	}
}

// noteReach notes whether policy hosts can be reached from this host.
func (n *node) noteReach(now instant, err error) {
	result, fault := policyhost.Classify(err)
	if fault != policyhost.FaultLoad {
		n.fetches++
	}
	switch {
	case result == policyhost.ResultOK, result == policyhost.ResultPolicyInvalid:
		n.failing, n.noRoute = 0, n.noRoute && n.localAt == now // of two at the same moment either may be the last
	case n.failing == 0 && fault != policyhost.FaultDNS && fault != policyhost.FaultLoad:
		n.failing = now
	}
	if fault == policyhost.FaultLocal {
		n.noRoute, n.localAt = true, now
	}
}

// fetched learns a policy.
func (n *node) fetched(k *knowledge, f fetch, now instant, policy mtasts.Policy) {
	k.failed, k.blocked, k.refused = failure{}, 0, 0
	before := k.last()
	next := &fact{policy: policy, id: f.id, at: now, boot: n.w.boots, low: n.w.wall, high: n.w.wall, interval: n.settings.RefreshInterval, purges: f.purges}
	for _, v := range k.possible() {
		if v.fact == nil || v.fact.policy.Text != policy.Text {
			continue
		}
		followUps := func(before int) int {
			if v.fact.id != f.id {
				return 2
			}
			return max(0, before-1)
		}
		next.mostFollowUps = max(next.mostFollowUps, followUps(v.fact.mostFollowUps))
		if before.certain() { // and so the only possible one
			next.followUps = followUps(v.fact.followUps)
		}
	}
	void := f.began < k.purged
	meanwhile := before.fact != nil && before.fact.boot == otherNode && before.from >= f.began // from another node, whose policy holds
	if live := n.current(k, now); live != nil && !void && !meanwhile && live.policy.Mode == mtasts.ModeEnforce && policy.Mode != mtasts.ModeEnforce {
		n.downgrades++
	}
	// A policy whose fetch began before a purge answers the waiting lookups and is not kept.
	maybe := meanwhile || f.began == k.purged ||
		n.link != nil && before.from == now // the other node's comes before or after it
	if n.queueFull { // the one before is removed for certain
		k.add(version{from: now})
		maybe = true
	}
	k.add(version{from: now, fact: next, maybe: maybe})
	switch {
	case void:
		k.voided = now
		k.add(version{from: now, fact: before.fact, maybe: before.maybe})
	case policy.MaxAge == 0:
		k.add(version{from: now})
	}
}

func (n *node) failedFetch(k *knowledge, f fetch, now instant, err error) {
	switch _, fault := policyhost.Classify(err); fault {
	case policyhost.FaultPublisher:
		if k.failed.id != f.id {
			before := k.failed
			before.before = nil
			k.failed = failure{id: f.id, before: &before}
		}
		k.failed.at = now
		k.failed.count++
		k.failed.volatile = n.queueFull || f.began <= k.purged || f.began < n.stepped
		k.failed.saved = n.current(k, now) != nil
		k.failed.excused = n.noRoute || n.failing != 0 && now-n.failing > 9*time.Minute
		k.blocked = now + failedPause
		if k.failed.excused { // asked for less and less, and a new id is fetched as late
			k.blocked = now + longestDNSRetry
			k.recheckDue = max(k.recheckDue, now+failedPause)
		}
	case policyhost.FaultLoad:
		k.blocked = now + time.Minute + 2*time.Second
		if k.refused == 0 {
			k.refused = now
		}
	default:
		k.blocked = now + longestDNSRetry
		k.recheckDue = max(k.recheckDue, now+time.Minute)
	}
}

// checked takes a verdict of DANE.
func (n *node) checked(d mtasts.Domain, now instant, v dane.Verdict, err error, cancelled bool) {
	k := n.about(d)
	if cancelled {
		return
	}
	if err != nil {
		n.fail(&k.dane, n.w.dns != dnsWorks)
		if n.w.dns != dnsWorks && n.outageFrom == 0 {
			n.outageFrom, n.questions = now+outageNoticed, 0
		}
		n.trouble = now
		return
	}
	k.dane = trouble{}
	next := verdict{from: now, until: now + v.TTL, kind: v.Kind, boot: n.w.boots}
	next.maybe = n.queueFull                                                                  // without room an eviction loses it, and the one before is in the file
	next.saved = n.current(k, now) != nil && n.looking == 1 && k.looking == 1 && !n.queueFull // no other policy evicts this one
	for i := len(k.verdicts) - 1; i >= 0 && v.Kind == dane.Unknown; i-- {
		before := k.verdicts[i]
		if before.kind == dane.Unknown {
			continue
		}
		if before.kind != 0 && (now < before.until+verdictHold+time.Minute || before.boot != n.w.boots) {
			next.maybe = true // a verdict that holds takes precedence
		}
		if !before.maybe {
			break
		}
	}
	k.verdicts = append(k.verdicts, next)
}
