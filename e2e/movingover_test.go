package e2e

import (
	"fmt"
	"testing"
)

// TestMovingOver puts the daemon in the place of others. main.cf stays as their
// documentation has it; postfix-tlspol's port is one line of the daemon's
// configuration. The daemon runs where Postfix does and sees main.cf.
func TestMovingOver(t *testing.T) {
	const (
		tlspolAddr   = "127.0.0.1:8642"
		listensThere = `listen: {socketmap: ["` + daemonAddr + `", "` + tlspolAddr + `"]}`
	)
	for _, from := range []struct {
		name   string
		suites []suite
		mainCF []string
	}{
		{"postfix-mta-sts-resolver", suites(), []string{
			"smtp_tls_policy_maps = socketmap:inet:127.0.0.1:8461:postfix",
		}},
		{"postfix-tlspol before 3.10", suites(), []string{
			"smtp_dns_support_level = dnssec",
			"smtp_tls_security_level = dane",
			"smtp_tls_dane_insecure_mx_policy = dane",
			"smtp_tls_policy_maps = socketmap:inet:127.0.0.1:8642:QUERY",
		}},
		{"postfix-tlspol", []suite{trixie, forky}, []string{
			"smtp_dns_support_level = dnssec",
			"smtp_tls_security_level = dane",
			"smtp_tls_policy_maps = socketmap:inet:127.0.0.1:8642:QUERYwithTLSRPT",
		}},
	} {
		for _, s := range from.suites {
			t.Run(fmt.Sprintf("%s/%s", from.name, s), func(t *testing.T) {
				s.need(t)
				w := newWorld(t)
				f := startFleetOf(t, w, []suite{s}, []answers{plain}, from.mainCF...)
				startDaemonIn(t, w, f[0].root, listensThere, fmt.Sprintf("dns: {servers: [%q]}", resolverAddr)).stopLater(t)
				for i, d := range []delivery{
					{"", "enforce.test", "", enforce, goodCertificate, verified},
					{"", "wrong-name.test", "", enforce, wrongName, mismatch},
					{"", "testing.test", "", onlyTesting, selfSigned, untrusted},
					{"", "no-record.test", "", nil, selfSigned, untrusted},
				} {
					mx := d.route().open(t, w, fmt.Sprintf("127.0.1.%d", i+1))
					f.deliver(t, newMatrix().row(""), "postmaster@"+d.domain, mx, always(d.want))
				}
			})
		}
	}
}
