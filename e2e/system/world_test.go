package system

import (
	"fmt"
	"testing"

	"mta-sts-daemon/e2e/internal/isolated"
	"mta-sts-daemon/e2e/internal/namespace"
	"mta-sts-daemon/e2e/internal/smtpsink"
	"mta-sts-daemon/resolver/resolvertest"
)

// Addresses in a machine's network.
const (
	resolverAddr    = "127.0.0.53"     // unbound, on the machine
	authorityAddr   = "127.0.0.54"     // has the zone test, asked by unbound
	policyHostsAddr = "127.0.0.1:443"  // where resolvertest.DNS.Publish says they are
	mxAddr          = "127.0.1.1"      // the MX host of all domains
	socketmapAddr   = "127.0.0.1:8461" // the daemon, on the machine
)

// world is the outside of a machine: an authority, policy hosts and an MX host.
// It exists longer than the machine's boots.
type world struct {
	ca    *resolvertest.CA
	zone  *resolvertest.DNS
	hosts *resolvertest.PolicyHosts
	mx    *smtpsink.Sink
}

func newWorld(t *testing.T, n *namespace.Network) *world {
	t.Helper()
	w := &world{ca: resolvertest.NewCA(t)}
	isolated.Within(t, n, func() {
		w.zone = resolvertest.StartDNSAt(t, authorityAddr+":53")
		w.hosts = resolvertest.StartPolicyHostsAt(t, w.ca, policyHostsAddr)
		var err error
		w.mx, err = smtpsink.Start(mxAddr+":25", smtpsink.Config{Host: "mx.test", TLS: w.ca.ServerConfig(resolvertest.Leaf{Names: []string{"*.mx.test"}})})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(w.mx.Close)
	})
	w.zone.Add(
		"test. 300 IN SOA ns.test. hostmaster.test. 1 3600 600 86400 60",
		"test. 300 IN NS ns.test.",
		"ns.test. 300 IN A "+authorityAddr,
	)
	return w
}

// domain is a domain that publishes an enforced policy.
type domain string

// mx is the name of the MX host, which has one for each domain.
func (d domain) mx() string { return "for-" + string(d[:len(d)-len(".test")]) + ".mx.test" }

// secure is the answer that its policy gives.
func (d domain) secure() string {
	return fmt.Sprintf("OK secure match=%s servername=hostname", d.mx())
}

// publish makes d a domain of the world.
func (w *world) publish(d domain) {
	w.zone.Publish(string(d), "20260101")
	w.zone.Add(
		fmt.Sprintf("%s. 300 IN MX 10 %s.", d, d.mx()),
		fmt.Sprintf("%s. 300 IN A %s", d.mx(), mxAddr),
	)
	w.hosts.Serve(string(d), fmt.Sprintf("version: STSv1\nmode: enforce\nmax_age: 604800\nmx: %s\n", d.mx()))
}
