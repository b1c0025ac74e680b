package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"mta-sts-daemon/resolver/dnsclient"
)

func TestAliases(t *testing.T) {
	w := newSignedWorld(t)
	for i := 2; i <= 18; i++ {
		w.signer.add(fmt.Sprintf("c%d.example. 300 IN CNAME c%d.example.", i, i-1))
	}
	w.signer.add(`c1.example. 300 IN TXT "end"`, "c1.example. 300 IN A 127.0.1.1",
		"x.example. 300 IN CNAME y.example.", "y.example. 300 IN CNAME x.example.",
		"self.example. 300 IN CNAME self.example.",
		"dangling.example. 300 IN CNAME none.example.")
	w.open(t)
	c := dnsclient.New(dnsclient.Options{Servers: []netip.AddrPort{resolverAddr}})
	for _, n := range []string{"c2", "c8", "c9", "c11", "c12", "c13", "c16", "c17", "c18", "x", "self", "dangling"} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		start := time.Now()
		got, err := c.TXT(ctx, n+".example")
		t.Logf("%s: TXT %+v, %v, %v", n, got, err, time.Since(start))
		h, err := c.Host(ctx, n+".example")
		t.Logf("%s: Host %+v, %v, %v", n, h, err, time.Since(start))
		cancel()
	}
}
