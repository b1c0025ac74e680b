package e2e

import (
	"fmt"
	"strings"
	"testing"

	"mta-sts-daemon/resolver/resolvertest"
)

// world is the environment of the daemon and Postfix: a resolver in front of the
// zone test, policy hosts, and an authority that both trust.
type world struct {
	ca    *resolvertest.CA
	zone  *resolvertest.DNS
	hosts *resolvertest.PolicyHosts
}

// policyHostsAddr is where resolvertest.DNS.Publish says the policy hosts are.
const policyHostsAddr = "127.0.0.1:443"

// newWorld makes the world, or skips the test if it cannot. Only one test at a
// time can use it: its addresses are fixed.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := newBareWorld(t)
	startUnbound(t, bookworm)
	return w
}

// newBareWorld leaves out the resolver, which remembers. It is for tests
// without Postfix: what happens to the zone the daemon feels at once when it
// asks the authority itself, with askAuthority.
func newBareWorld(t *testing.T) *world {
	t.Helper()
	needWorld(t)
	ca := resolvertest.NewCA(t)
	w := &world{
		ca:    ca,
		zone:  resolvertest.StartDNSAt(t, authorityAddr.String()),
		hosts: resolvertest.StartPolicyHostsAt(t, ca, policyHostsAddr),
	}
	w.zone.Add(
		"test. 300 IN SOA ns.test. hostmaster.test. 1 3600 600 86400 60",
		"test. 300 IN NS ns.test.",
		"ns.test. 300 IN A "+authorityAddr.Addr().String(),
	)
	return w
}

// askAuthority is the setting for a bare world.
var askAuthority = fmt.Sprintf("dns: {servers: [%q], dane: off}", authorityAddr)

// cutOff has no question answered any more; policy hosts cannot be found then
// either.
func (w *world) cutOff() { w.zone.Misbehave(resolvertest.EveryName, resolvertest.DNSSilent) }

// connect undoes cutOff.
func (w *world) connect() { w.zone.Misbehave(resolvertest.EveryName, nil) }

// addMX makes host, at address, the only MX host of domain.
func (w *world) addMX(domain, host, address string) {
	w.zone.Add(fmt.Sprintf("%s. 300 IN MX 10 %s.", domain, host))
	w.addHost(host, address)
}

func (w *world) addHost(host, address string) {
	w.zone.Add(fmt.Sprintf("%s. 300 IN A %s", host, address))
}

// publish makes domain publish MTA-STS, its policy host behaving so.
func (w *world) publish(domain string, b resolvertest.Behaviour) {
	w.zone.Publish(domain, "20260101")
	w.hosts.Handle(domain, b)
}

// policy is a policy's text.
func policy(mode string, mx ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "version: STSv1\nmode: %s\nmax_age: 604800\n", mode)
	for _, pattern := range mx {
		fmt.Fprintf(&b, "mx: %s\n", pattern)
	}
	return b.String()
}
