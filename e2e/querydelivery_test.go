package e2e

import (
	"encoding/json"
	"strings"
	"testing"

	"mta-sts-daemon/resolver/resolvertest"
)

// TestQueryBesideDelivery compares what query says becomes of mail with what each Postfix
// does with a message, for plain answers and for those with report attributes.
func TestQueryBesideDelivery(t *testing.T) {
	w := newWorld(t)
	for i, test := range []struct {
		domain      string
		publishes   func(string) resolvertest.Behaviour
		certificate certificate
	}{
		{"qgood.test", enforce, goodCertificate},
		{"qmismatch.test", otherHost, goodCertificate},
		{"qtesting.test", onlyTesting, selfSigned},
		{"qnone.test", nil, selfSigned},
		{"qbroken.test", hostExpired, selfSigned},
	} {
		w.openMX(t, test.domain, 60+i, test.certificate)
		if test.publishes != nil {
			w.publish(test.domain, test.publishes(test.domain))
		}
	}
	w.zone.Add("qnull.test. 300 IN MX 0 .", "qnowhere.test. 300 IN MX 10 mx.qnowhere.test.")
	w.zone.Misbehave("qdeaf.test", resolvertest.DNSRcode(2))

	for _, s := range suites() {
		for _, name := range []string{"postfix", "QUERYwithTLSRPT"} {
			if s == bookworm && name != "postfix" {
				continue // Postfix 3.7 takes no report attributes
			}
			t.Run(string(s)+"/"+name, func(t *testing.T) {
				s.need(t)
				p := startPostfix(t, w, s, "smtp_tls_policy_maps = socketmap:inet:"+daemonAddr+":"+name)
				d := startDaemonIn(t, w, p.root)
				for _, test := range []struct {
					domain, outcome string
					status          status
				}{
					{"qgood.test", "protected-sts", statusSent},
					{"qmismatch.test", "deferred", statusDeferred},
					{"qtesting.test", "unprotected", statusSent},
					{"qnone.test", "unprotected", statusSent},
					{"qbroken.test", "broken", statusSent},
					{"qnull.test", "undeliverable", statusBounced},
					{"qnowhere.test", "undeliverable", statusBounced},
					{"qnever.test", "undeliverable", statusBounced},
					{"qdeaf.test", "deferred", statusDeferred},
				} {
					sent := p.outcome(t, p.send(t, "r@"+test.domain))
					out, _ := query(t, d, "--json", test.domain)
					var report struct{ Outcome, Map string }
					if err := json.Unmarshal([]byte(out), &report); err != nil {
						t.Fatalf("%s: %v:\n%s", test.domain, err, out)
					}
					if sent.Status != test.status || report.Outcome != test.outcome || report.Map != name {
						t.Errorf("%s: Postfix said %+v and query %+v, want %s and %s", test.domain, sent, report, test.status, test.outcome)
					}
					if attributes := strings.Contains(out, "policy_type=sts"); test.domain == "qgood.test" && attributes != (name != "postfix") {
						t.Errorf("%s by the name %s: the answer has report attributes: %v", test.domain, name, attributes)
					}
				}
				d.stop(t)
			})
		}
	}
}
