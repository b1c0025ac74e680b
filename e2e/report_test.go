package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// TestReportAttributes asks maps that answer with report attributes. Postfix
// before 3.10 does not know them and defers all mail to domains with a policy:
// it must be given a map without.
func TestReportAttributes(t *testing.T) {
	w := newWorld(t)
	startDaemon(t, w).stopLater(t)
	for i, name := range []string{"QUERYwithTLSRPT", "tlsrpt"} {
		t.Run(name, func(t *testing.T) {
			p := startPostfix(t, w, bookworm, "smtp_tls_policy_maps = socketmap:inet:"+daemonAddr+":"+name)
			domain, address := strings.ToLower(name)+".test", fmt.Sprintf("127.0.1.%d", i+1)
			w.addMX(domain, "mx."+domain, address)
			w.publish(domain, enforce(domain))
			mx := startSink(t, w.ca, address+":25", "mx."+domain, goodCertificate)
			rcpt := "postmaster@" + domain
			check(t, undecided, p.outcome(t, p.send(t, rcpt)), mx, rcpt)
			p.master.awaitSaid(t, `invalid attribute name: "policy_type"`, 1)
		})
	}
}
