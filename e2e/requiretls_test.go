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

// passesOn reports whether this Postfix asks the next server for REQUIRETLS.
func (p instance) passesOn(request tlsRequest) bool {
	return request.name == requireTLS.name && p.suite == forky
}

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
	requests := [...]tlsRequest{noTLSRequest, requireTLS, tlsNotRequired}
	cases := []struct {
		name        string
		label       string
		records     []string
		mode        string
		certificate certificate
		want        [len(requests)]expectation
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
	}
	var domains []mailDomain
	for _, c := range cases {
		d := w.addDomain(c.label+".example", c.records...)
		if c.mode != "" {
			w.publishSigned(d.name, d.policy(c.mode))
		}
		domains = append(domains, d)
	}
	w.open(t)
	startDaemon(t, w.world, daneAlways).stopLater(t)
	f := startFleetOf(t, w.world, []suite{trixie, forky}, []answers{plain, withAttributes}, doesDANE...)
	m := newMatrix()
	for n, c := range cases {
		t.Run(c.label, func(t *testing.T) {
			mx := w.startServers(t, domains[n], c.certificate, "")[0]
			for i, request := range requests {
				want := func(p instance) expectation {
					if request.name == requireTLS.name && !p.passesOn(request) {
						return c.want[0]
					}
					return c.want[i]
				}
				f.deliverWith(t, m.row(c.name+": "+request.name), "postmaster@"+domains[n].name, request, mx, want)
			}
		})
	}
	t.Log(m)
}
