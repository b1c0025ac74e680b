package simulation

import (
	"time"

	"mta-sts-daemon/resolver/mtasts"
)

// The rules for what may be under way at the same time.

// countQuestion counts a question to the DNS. During an outage that is known there is one
// a second for all domains (BEHAVIOUR, DNS failure).
func (n *node) countQuestion() {
	since := n.w.now() - n.outageFrom
	if n.outageFrom == 0 || since < 0 {
		return
	}
	n.questions++
	if allowed := int(since/time.Second) + 2; n.questions > allowed {
		n.violation("%d questions in %v of an outage", n.questions, since)
	}
}

// Limits of load (resolver/loadlimits.go): questions and fetches for unknown domains at the
// same time.
const (
	mostQuestions = 1000
	mostFetches   = 250
)

// countStranger counts the questions under way for unknown domains. Probes of an
// outage may come on top.
func (n *node) countStranger(d mtasts.Domain, underWay *int, by, most int) {
	const probes = int(dnsTimeout / time.Second)
	n.noteLoad()
	if stranger(d) == "" {
		return
	}
	if *underWay += by; *underWay > most+probes {
		n.violation("%d questions or fetches for unknown domains at the same time", *underWay)
	}
}

// noteLoad notes that limits of load are reached: those of questions and fetches, and that of
// DANE by many lookups. Silent domains are probed for one a second, the latest one first, so
// that many of them delay the others as well.
func (n *node) noteLoad() {
	const others = 60 // domains outside floods
	const probed = 16 // silent domains that are remembered as probes
	if n.strangersAsked >= mostQuestions-others || n.strangersFetched >= mostFetches-others ||
		n.strangersWaiting >= mostFetches-others || n.silentWaiting >= probed {
		n.overloaded = n.w.now()
	}
}

// countWaiting counts lookups of unknown domains under way.
func (n *node) countWaiting(d mtasts.Domain, by int) {
	switch stranger(d) {
	case "":
		return
	case silentStrangers:
		n.silentWaiting += by
	}
	n.strangersWaiting += by
	n.noteLoad()
}

// judgeStranger: a flood of unknown domains is answered within the limits of a first lookup
// (BEHAVIOUR, Time).
func (n *node) judgeStranger(l lookup) {
	if took := l.end - l.start; l.policy != nil || took > n.settings.AnswerTimeout+stored && n.configured < l.start {
		n.violation("%v: policy %v after %v", l.domain, l.policy, took)
	}
}

// judgeFairness: refreshes of failing domains get a quarter of the workers at most (BEHAVIOUR,
// a refresh). Those under way may be more after the number of workers was made smaller.
func (n *node) judgeFairness() {
	most := max(1, n.settings.Concurrency/4)
	if n.refreshingFailed > most && n.w.now()-n.configured > 2*hostTimeout {
		n.violation("%d refreshes of failing domains at the same time with %d workers", n.refreshingFailed, n.settings.Concurrency)
	}
}
