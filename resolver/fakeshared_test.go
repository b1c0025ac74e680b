package resolver

import (
	"testing"

	"mta-sts-daemon/resolver/shared/sharedtest"
)

// hub is the shared store of a test.
type hub = sharedtest.Store

// join returns a Resolver of another node.
func (w *world) join(h *hub) *Resolver { return w.resolverIn(h.Join(), w.memory()) }

// expectKnown compares a node's state of a domain, without a lookup, with want:
// mode and id, "-" for an absence, "" if it has no state.
func expectKnown(t *testing.T, r *Resolver, domain, want string) {
	t.Helper()
	got := ""
	if k, ok := r.Known(hop(t, domain).Domain); ok && k.Policy == nil {
		got = "-"
	} else if ok {
		got = k.Policy.Mode.String() + "/" + k.ID
	}
	if got != want {
		t.Errorf("%s: %q is known, want %q", domain, got, want)
	}
}
