package policies

import (
	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/mtasts"
)

// maxPurged is how many of the latest purges of single domains are known. They matter as
// long as a fetch that was under way then may go on.
const maxPurged = 10_000

// purge is the last one of a domain.
type purge struct {
	noted  uint64 // how many NotePurge had noted with it
	number uint64 // in the shared store; 0 if it is not known
}

// NotePurge is called before a domain is purged, here or by another node, with the purge's number
// in the shared store; 0 if that is not known. It reports false if that purge was noted before.
func (t *Table) NotePurge(d mtasts.Domain, number uint64) bool {
	if last, ok := t.purged.Peek(d); ok && number > 0 && number == last.number {
		return false
	}
	t.purged.Add(d, purge{t.purges.Add(1), number})
	return true
}

// Asked says when a question about a domain was asked, and which purges were known then. A
// later purge, of the domain or of everything, makes the answer void.
type Asked struct {
	Purges uint64       // number of the last purge
	Noted  uint64       // how many purges NotePurge had noted
	At     clock.Moment // when it was asked
}

// Asked is for a question that is asked now.
func (t *Table) Asked() Asked { return Asked{t.store.Purges(), t.purges.Load(), t.clock.Now()} }

// Void reports whether the answer to a question about the domain is void.
func (t *Table) Void(d mtasts.Domain, a Asked) bool {
	last, _ := t.purged.Peek(d)
	return a.Purges < t.store.PurgedBelow() || a.Noted < last.noted
}

// Forget removes the domain's policy if it is void, and reports whether it was.
func (t *Table) Forget(d mtasts.Domain, void func(*Entry) bool) bool {
	defer t.unlock(t.lock(d))
	e := t.current(d)
	if e == nil || !void(e) {
		return false
	}
	t.drop(d)
	t.reportPurged(d, e)
	return true
}

// HasAbsence reports whether memory has an absence of the domain, also one that does not hold any
// more or whose discovery is under way.
func (t *Table) HasAbsence(d mtasts.Domain) bool { return t.negatives.Contains(d) }

// ForgetAbsence removes the knowledge that the domain has no policy.
func (t *Table) ForgetAbsence(d mtasts.Domain) { t.negatives.Remove(d) }

// ForgetAll removes every policy whose fetch knew of fewer purges than number, and
// every absence. It returns how many policies there were.
func (t *Table) ForgetAll(number uint64) (forgotten int) {
	before := t.store.Len()
	t.store.PurgeAll(number)
	for _, d := range t.policies.domains() {
		t.forgetVoid(d, number)
	}
	t.negatives.Purge()
	forgotten = max(0, before-t.store.Len()) // before Recall, which takes long: more are found meanwhile
	t.unwatchAll()
	t.Recall(nil)
	if forgotten > 0 { // the shared store repeats its last purge at each start
		t.reportPurgedAll(forgotten)
	}
	return forgotten
}

func (t *Table) forgetVoid(d mtasts.Domain, number uint64) {
	defer t.unlock(t.lock(d))
	if e := t.policies.peek(d); e != nil && e.purges < number {
		t.policies.remove(d)
		t.unwatch(d)
	}
}
