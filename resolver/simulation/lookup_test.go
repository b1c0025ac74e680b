package simulation

import (
	"errors"
	"fmt"
	"time"

	"mta-sts-daemon/resolver"
	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/mtasts"
)

// lookUp looks a domain up as a socketmap connection does, and judges the answer.
func (n *node) lookUp(d mtasts.Domain) {
	var life int
	n.w.locked(func(instant) { life = n.life })
	n.lookups.Go(func() { n.lookUpIn(life, d) })
}

func (n *node) lookUpIn(life int, d mtasts.Domain) {
	l := lookup{domain: d}
	var begun int
	var rs *reports
	n.w.locked(func(now instant) {
		k := n.about(d)
		l.start = now
		n.noteEvictions(now)
		l.joined = k.asking > 0 || k.fetching > 0 || k.forced > 0
		l.alone = !l.joined && k.looking == 0 && (now-k.lastLookup > claim || k.lastLookup == 0)
		l.first = k.lastLookup < n.w.dnsSince && k.dns.at == 0 && k.blocked < now && n.disturbed < n.w.dnsSince
		if now-k.lastLookup > n.settings.Idle/2 {
			k.inUseSince = now
		}
		if k.readBy != n.life {
			k.readBy, k.read = n.life, now
			if last := k.last(); last.fact != nil && last.fact.boot != n.w.boots {
				k.recheckDue = max(k.recheckDue, now+maxRecordLife) // by a clock that may have been wrong
			}
		}
		n.countWaiting(d, 1)
		k.looking++
		n.looking++
		k.begun++
		begun = k.begun
		k.lastLookup = now
		rs = n.reports
	})
	var a resolver.Answer
	a, l.unknown = n.ask(rs, d)
	l.end = n.w.nowLocked()
	time.Sleep(time.Nanosecond) // questions that the lookup did not wait for have been asked
	n.w.locked(func(now instant) {
		k, p := n.about(d), n.w.of(d)
		n.countWaiting(d, -1)
		k.looking--
		n.looking--
		l.policy, l.kind, l.failure = a.Policy, a.DANE, a.Failure
		l.later = a.Later != nil
		l.alone = l.alone && begun == k.begun
		l.first = l.first && l.alone
		rs.receive()
		if l.failure != nil && l.policy == nil && l.unknown == nil && l.kind <= dane.None {
			rs.owe(d)
		}
		if life != n.life || l.start < n.disturbed+observed {
			return
		}
		n.w.note("  node %d: lookup of %v from %v: %v", n.number, d, l.start, l)
		if stranger(d) != "" {
			n.judgeStranger(l)
			return
		}
		n.noteLoad()
		n.judgeDANE(k, p, l)
		if l.unknown == nil {
			n.judgePolicy(k, l)
			n.judgeDiscovery(k, p, l)
			n.judgePatience(k, l)
			n.judgeWait(k, p, l)
			n.judgeNews(k, p, l)
			n.judgeReport(k, l)
		} else if !errors.Is(l.unknown, resolver.ErrDANEUnknown) {
			n.violation("%v: lookup failed: %v", d, l.unknown)
		}
		if l.end-l.start >= n.settings.RecheckWait && l.policy != nil {
			n.trouble = now
		}
	})
}

func (l lookup) String() string {
	switch {
	case l.unknown != nil:
		return l.unknown.Error()
	case l.policy == nil:
		return fmt.Sprintf("no policy, DANE %v", l.kind)
	}
	return fmt.Sprintf("%v until %v, DANE %v", l.policy.Mode, l.policy.MaxAge, l.kind)
}
