package policies

import "mta-sts-daemon/resolver/mtasts"

// NotePurge is called before a domain is purged, here or by another node.
func (t *Table) NotePurge() { t.purges.Add(1) }

// Purges returns the number of calls of NotePurge.
func (t *Table) Purges() uint64 { return t.purges.Load() }

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

// ForgetAbsence removes the knowledge that the domain has no policy, and reports whether
// there was any.
func (t *Table) ForgetAbsence(d mtasts.Domain) bool { return t.negatives.Remove(d) }

// ForgetAll removes every policy whose fetch knew of fewer purges than number, and
// every absence. It returns how many policies there were.
func (t *Table) ForgetAll(number uint64) (forgotten int) {
	before := t.store.Len()
	t.voidBelow.Store(number)
	t.store.PurgeAll(number)
	for _, d := range t.policies.Keys() {
		t.forgetVoid(d, number)
	}
	t.negatives.Purge()
	t.unwatchAll()
	t.Recall(nil)
	forgotten = before - t.store.Len()
	if forgotten > 0 { // the shared store repeats its last purge at each start
		t.reportPurgedAll(forgotten)
	}
	return forgotten
}

func (t *Table) forgetVoid(d mtasts.Domain, number uint64) {
	defer t.unlock(t.lock(d))
	if e, ok := t.policies.Peek(d); ok && e.purges < number {
		t.removeEntry(d)
		t.unwatch(d)
	}
}
