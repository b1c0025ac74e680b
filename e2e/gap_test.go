package e2e

import (
	"testing"

	"mta-sts-daemon/e2e/internal/smtpsink"
	"mta-sts-daemon/resolver/resolvertest"
)

// gapRoutes show the two points where Postfix is more lenient than RFC 8461
// section 4.1 when it has but names to match, which is all that a plain answer
// can give it: docs/rfc8461.md. Both take a certificate that a trusted authority
// has issued for a name in the policy. Report attributes close them.
func gapRoutes() (routes []route) {
	for _, gap := range []struct {
		name, domain, mx string
		publishes        func(domain string) resolvertest.Behaviour
		certificate      []string
		want             wanted
	}{
		// A wildcard stands for one label; Postfix's ".labels.test" for any number.
		{"gap: wildcard, several labels", "labels.test", "a.b.labels.test", wildcard,
			[]string{"a.b.labels.test"}, strictly(verified, notNamed)},
		// The MX host itself must match; Postfix is content when any name in the
		// certificate does.
		{"gap: MX host outside the policy, with a certificate for a name in it",
			"outside.test", "mx.elsewhere.test", enforce,
			[]string{"mx.elsewhere.test", "mx.outside.test"}, strictly(verified, notNamed)},
		{"MX host outside the policy", "closed.test", "mx2.elsewhere.test", enforce,
			[]string{"mx2.elsewhere.test"}, strictly(mismatch, notNamed)},
	} {
		routes = append(routes, route{
			name:   gap.name,
			domain: gap.domain,
			want:   gap.want,
			open: func(t *testing.T, w *world, address string) *sink {
				w.addMX(gap.domain, gap.mx, address)
				w.publish(gap.domain, gap.publishes(gap.domain))
				return serveSink(t, address+":25", smtpsink.Config{Host: gap.mx, TLS: w.ca.ServerConfig(resolvertest.Leaf{Names: gap.certificate})})
			},
		})
	}
	return routes
}
