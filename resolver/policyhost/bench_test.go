package policyhost

import (
	"testing"

	"mta-sts-daemon/resolver/resolvertest"
)

// One fetch over loopback; the host's half of the handshake is in it.
func BenchmarkFetch(b *testing.B) {
	ca := resolvertest.NewCA(b)
	hosts := resolvertest.StartPolicyHosts(b, ca)
	hosts.Serve(testDomain, testPolicy)
	client, d := New(options(ca, hosts)), domain(b, testDomain)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.Fetch(b.Context(), d); err != nil {
			b.Fatal(err)
		}
	}
}
