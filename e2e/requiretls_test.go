package e2e

import "testing"

// tlsRequest is a sender's request for more or less than the usual TLS (RFC 8689).
type tlsRequest struct {
	name    string
	header  string
	options []string // of Postfix's sendmail
}

var (
	noTLSRequest   = tlsRequest{name: "no request"}
	requireTLS     = tlsRequest{name: "REQUIRETLS", options: []string{"-O", "requiretls=yes"}}
	tlsNotRequired = tlsRequest{name: "TLS-Required: no", header: "TLS-Required: no\n"}
)

// Postfix 3.11 returns a message with REQUIRETLS.
var (
	notMatched     = expectation{statusBounced, "5.7.10", "", ""}
	wrongMatch     = expectation{statusBounced, "5.7.10", "Trusted", "hostname mismatch"}
	wrongDANE      = expectation{statusBounced, "5.7.10", "Untrusted", "no matching DANE TLSA records"}
	noTLSServer    = expectation{statusBounced, "5.7.30", "", ""}
	noRequiringMTA = expectation{statusBounced, "5.7.30", "Verified", ""}
)

// TestREQUIRETLS sends messages with either request through Postfix 3.10 and 3.11,
// with both kinds of answers. Postfix 3.10 does not know REQUIRETLS.
func TestREQUIRETLS(t *testing.T) {
	w := newSignedWorld(t)
	type group struct {
		name        string
		domain      mailDomain
		certificate certificate
		want        [3]expectation // in the order of requests
	}
	requests := [...]tlsRequest{noTLSRequest, requireTLS, tlsNotRequired}
	var groups []group
	for _, g := range []struct {
		name        string
		label       string
		records     []string
		mode        string
		certificate certificate
		want        [3]expectation
	}{
		{"enforce, good certificate", "enforce", oneHost, "enforce", goodCertificate, [...]expectation{verified, verified, trusted}},
		{"enforce, wrong name", "wrong-name", oneHost, "enforce", wrongName, [...]expectation{mismatch, wrongMatch, trusted}},
		{"enforce, no STARTTLS", "no-starttls", oneHost, "enforce", noSTARTTLS, [...]expectation{notOffered, noTLSServer, unencrypted}},
		{"enforce, no REQUIRETLS", "no-requiretls", oneHost, "enforce", noREQUIRETLS, [...]expectation{verified, noRequiringMTA, trusted}},
		{"testing, good certificate", "testing", oneHost, "testing", goodCertificate, [...]expectation{trusted, notMatched, trusted}},
		{"no policy, good certificate", "neither", oneHost, "", goodCertificate, [...]expectation{trusted, notMatched, trusted}},
		{"DANE, TLSA matches", "dane", append([]string{"_25._tcp.mx.$D TLSA 3 1 1 $GOOD"}, oneHost...), "", matching, [...]expectation{verified, verified, untrusted}},
		{"DANE, TLSA does not match", "dane-bad", append([]string{"_25._tcp.mx.$D TLSA 3 1 1 $BAD"}, oneHost...), "", public, [...]expectation{daneMismatch, wrongDANE, trusted}},
		{"DANE, TLSA matches, testing", "dane-testing", append([]string{"_25._tcp.mx.$D TLSA 3 1 1 $GOOD"}, oneHost...), "testing", matching, [...]expectation{verified, verified, untrusted}},
		{"TEMP", "temp", []string{"$D MX 10 $B", "$B A $2", "$D MX 20 mx.$D", "mx.$D A $1"}, "enforce", goodCertificate, [...]expectation{undecided, undecided, trusted}},
	} {
		d := w.addDomain(g.label+".example", g.records...)
		if g.mode != "" {
			w.publishSigned(d.name, d.policy(g.mode))
		}
		groups = append(groups, group{g.name, d, g.certificate, g.want})
	}
	w.open(t)
	startDaemon(t, w.world, daneAlways).stopLater(t)
	f := startFleetOf(t, w.world, []suite{trixie, forky}, []answers{plain, withAttributes}, doesDANE...)
	m := newMatrix()
	t.Run("to", func(t *testing.T) {
		for _, g := range groups {
			t.Run(g.domain.name, func(t *testing.T) {
				mx := w.startServers(t, g.domain, g.certificate, "")[0]
				for i, request := range requests {
					honoured := func(p instance) bool { return request.name == requireTLS.name && p.suite == forky }
					want := func(p instance) expectation {
						if request.name == requireTLS.name && !honoured(p) {
							return g.want[0]
						}
						return g.want[i]
					}
					f.deliverWith(t, m.row(g.name+": "+request.name), "postmaster@"+g.domain.name, request, mx, want)
					for _, p := range f {
						got := mx.collectRequiring(p.host())
						if (got == 1) != (honoured(p) && want(p).status == statusSent) {
							t.Errorf("%s: %s: %d messages from %s with REQUIRETLS", g.domain.name, request.name, got, p.name())
						}
					}
				}
			})
		}
	})
	t.Log(m)
}
