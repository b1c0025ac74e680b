package isolated

import (
	"testing"

	"mta-sts-daemon/e2e/internal/namespace"
)

// NewNetwork makes a network that goes with the test.
func NewNetwork(t *testing.T) *namespace.Network {
	t.Helper()
	n, err := namespace.NewNetwork()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

// Within runs f, which may end the test, in a network.
func Within(t *testing.T, n *namespace.Network, f func()) {
	t.Helper()
	before := t.Failed()
	returned := false
	if err := n.Do(func() { f(); returned = true }); err != nil {
		t.Fatal(err)
	}
	if !returned || t.Failed() && !before {
		t.FailNow()
	}
}
