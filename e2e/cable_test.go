package e2e

import (
	"testing"

	"mta-sts-daemon/e2e/internal/isolated"
	"mta-sts-daemon/e2e/internal/namespace"
)

// cable connects a network of its own, which has a server for the shared store.
// When it is cut, packets are lost without an error.
type cable struct {
	root    *root
	network *namespace.Network
}

const (
	cableHere  = "10.53.0.1/24"
	cableThere = "10.53.0.2/24"
	cableAddr  = "10.53.0.2:6379"
)

func layCable(t *testing.T, r *root) *cable {
	t.Helper()
	c := &cable{root: r, network: isolated.NewNetwork(t)}
	c.ip(t, "link", "add", "here", "type", "veth", "peer", "name", "there")
	t.Cleanup(func() { c.ip(t, "link", "del", "here") })
	c.ip(t, "link", "set", "there", "netns", c.network.Path())
	c.do(t, func() {
		c.ip(t, "addr", "add", cableThere, "dev", "there")
		c.ip(t, "link", "set", "there", "up")
	})
	c.ip(t, "addr", "add", cableHere, "dev", "here")
	c.ip(t, "link", "set", "here", "up")
	return c
}

func (c *cable) cut(t *testing.T) { c.do(t, func() { c.ip(t, "link", "set", "there", "down") }) }

func (c *cable) mend(t *testing.T) { c.do(t, func() { c.ip(t, "link", "set", "there", "up") }) }

func (c *cable) ip(t *testing.T, args ...string) {
	t.Helper()
	cmd := c.root.command("/sbin/ip", args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("ip %v: %v\n%s", args, err, out)
	}
}

// do runs f in the network that the cable leads to, and what f starts.
func (c *cable) do(t *testing.T, f func()) {
	t.Helper()
	isolated.Within(t, c.network, f)
}
