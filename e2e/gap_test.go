package e2e

import (
	"testing"

	"mta-sts-daemon/resolver/resolvertest"
)

// TestGaps shows the two points where Postfix is more lenient than RFC 8461
// section 4.1 when it has but names to match, which is all that a plain answer
// can give it: docs/rfc8461.md. Both take a certificate that a trusted authority
// has issued for a name in the policy.
func TestGaps(t *testing.T) {
	w := newWorld(t)
	startDaemon(t, w).stopLater(t)
	p := startPostfix(t, w, bookworm)
	for _, test := range []struct {
		name, domain, mx, address string
		publishes                 func(domain string) resolvertest.Behaviour
		certificate               []string
		want                      expectation
	}{
		// A wildcard stands for one label; Postfix's ".labels.test" for any number.
		{"wildcard, several labels", "labels.test", "a.b.labels.test", "127.0.1.1", wildcard,
			[]string{"a.b.labels.test"}, verified},
		// The MX host itself must match; Postfix is content when any name in the
		// certificate does.
		{"MX host outside the policy, its certificate also has a name in it",
			"outside.test", "mx.elsewhere.test", "127.0.1.2", enforce,
			[]string{"mx.elsewhere.test", "mx.outside.test"}, verified},
		{"MX host outside the policy", "closed.test", "mx2.elsewhere.test", "127.0.1.3", enforce,
			[]string{"mx2.elsewhere.test"}, mismatch},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w.addMX(test.domain, test.mx, test.address)
			w.publish(test.domain, test.publishes(test.domain))
			mx := startSinkWith(t, w.ca, test.address+":25", test.mx, &resolvertest.Leaf{Names: test.certificate})
			rcpt := "postmaster@" + test.domain
			check(t, test.want, p.outcome(t, p.send(t, rcpt)), mx, rcpt)
		})
	}
}
