package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mta-sts-daemon/resolver/resolvertest"
)

// reported is a delivery, and what TLSRPT has to say of it.
type reported struct {
	delivery
	patterns []string // of the policy in force, with $D for the domain; nil without a policy
	failure  int      // code, or 0
}

var reportedDeliveries = []reported{
	{delivery{"good certificate", "enforce.test", "", enforce, goodCertificate, verified}, []string{"mx.$D"}, 0},
	{delivery{"wildcard", "wildcard.test", "", wildcard, goodCertificate, verified}, []string{"*.$D"}, 0},
	{delivery{"500 MX host patterns", "many.test", "", enforceMany(500), goodCertificate, verified}, manyHosts("$D", 500), 0},
	{delivery{"wrong name", "wrong-name.test", "", enforce, wrongName, mismatch}, []string{"mx.$D"}, codeHostMismatch},
	{delivery{"expired", "expired.test", "", enforce, expired, outOfDate}, []string{"mx.$D"}, codeExpired},
	{delivery{"self-signed", "self-signed.test", "", enforce, selfSigned, unknownCA}, []string{"mx.$D"}, codeValidation},
	{delivery{"no STARTTLS", "no-starttls.test", "", enforce, noSTARTTLS, notOffered}, []string{"mx.$D"}, codeNoSTARTTLS},

	{delivery{"testing", "testing.test", "", onlyTesting, goodCertificate, trusted}, nil, 0},
	{delivery{"testing, wrong name", "testing-wrong-name.test", "", onlyTesting, wrongName, trusted}, nil, 0},
	{delivery{"testing, self-signed", "testing-self-signed.test", "", onlyTesting, selfSigned, untrusted}, nil, 0},
	{delivery{"none", "none.test", "", none, selfSigned, untrusted}, nil, 0},
	{delivery{"policy broken", "broken.test", "", broken, selfSigned, untrusted}, nil, 0},
	{delivery{"policy host says 404", "not-found.test", "", notFound, selfSigned, untrusted}, nil, 0},
	{delivery{"policy host expired", "host-expired.test", "", hostExpired, selfSigned, untrusted}, nil, 0},
	{delivery{"no record", "no-record.test", "", nil, selfSigned, untrusted}, nil, 0},
}

// TestTLSRPT has Postfix 3.10 and later tell how its sessions went. Under a
// policy in force they tell the policy as published; where none is, never that
// one was met.
func TestTLSRPT(t *testing.T) {
	w := newWorld(t)
	startDaemon(t, w).stopLater(t)
	sinks := make(map[string]*sink)
	for i, r := range reportedDeliveries {
		w.publishReporting(r.domain)
		sinks[r.domain] = r.route().open(t, w, fmt.Sprintf("127.0.1.%d", i+1))
	}
	// No session comes about: there is nothing to tell.
	w.publishReporting("outside.test")
	w.publish("outside.test", otherHost("outside.test"))
	outside := w.openMX(t, "outside.test", len(reportedDeliveries)+1, goodCertificate)

	for _, s := range []suite{trixie, forky} {
		t.Run(string(s), func(t *testing.T) {
			s.need(t)
			f := startFleetOf(t, w, []suite{s}, []answers{withAttributes}, collected...)
			c := startCollector(t, f[0].postfix)
			row := newMatrix().row("") // not shown
			f.deliver(t, row, "postmaster@outside.test", outside, always(notNamed))
			for _, r := range reportedDeliveries {
				t.Run(r.domain, func(t *testing.T) {
					f.deliver(t, row, "postmaster@"+r.domain, sinks[r.domain], always(r.want))
					if diff := cmp.Diff(r.report(), c.await(t, r.domain)); diff != "" {
						t.Errorf("-want +got\n%s", diff)
					}
				})
			}
			if got, _ := c.reports(t, "outside.test"); len(got) > 0 {
				t.Errorf("of an MX host that the policy does not name: %+v", got)
			}
		})
	}
}

// publishReporting makes domain ask for reports.
func (w *world) publishReporting(domain string) {
	w.zone.Add(fmt.Sprintf(`_smtp._tls.%s. 300 IN TXT "v=TLSRPTv1; rua=mailto:reports@%s"`, domain, domain))
}

func (r reported) report() report {
	if r.patterns == nil {
		return report{r.domain, []policyReport{{Type: typeNoPolicyFound, Domain: r.domain}}}
	}
	p := policyReport{
		Type:   typeSTS,
		Domain: r.domain,
		Text:   []string{"version: STSv1", "mode: enforce", "max_age: 604800"},
	}
	for _, pattern := range r.patterns {
		pattern = strings.ReplaceAll(pattern, "$D", r.domain)
		p.MXHosts = append(p.MXHosts, pattern)
		p.Text = append(p.Text, "mx: "+pattern)
	}
	if r.failure != 0 {
		p.Failures = []failure{{r.failure, "mx." + r.domain}}
		p.Failed = 1
	}
	return report{r.domain, []policyReport{p}}
}

// TestPolicyText has policies with text that looks like attributes of Postfix, or
// could break them.
func TestPolicyText(t *testing.T) {
	const domain = "author.test"
	w := newWorld(t)
	startDaemon(t, w).stopLater(t)
	w.publishReporting(domain)
	text := policy("enforce", "mx."+domain) +
		"x: } policy_ttl=1 { policy_string = y\n" +
		"y: policy_type=no-policy-found mx_host_pattern=evil.test match=.test\n" +
		"z:\ttabs \"quotes\" back\\slash = equals\n" +
		"u: bücher\n"
	w.publish(domain, resolvertest.HostPolicy(text))
	mx := w.openMX(t, domain, 1, goodCertificate)
	want := []string{"version: STSv1", "mode: enforce", "max_age: 604800", "mx: mx." + domain,
		"y: policy_type=no-policy-found mx_host_pattern=evil.test match=.test",
		"z: tabs \"quotes\" back\\slash = equals",
	}
	for _, s := range []suite{trixie, forky} {
		t.Run(string(s), func(t *testing.T) {
			s.need(t)
			f := startFleetOf(t, w, []suite{s}, []answers{withAttributes}, collected...)
			c := startCollector(t, f[0].postfix)
			f.deliver(t, newMatrix().row(""), "postmaster@"+domain, mx, always(verified))
			got := c.await(t, domain)
			if diff := cmp.Diff(report{domain, []policyReport{{
				Type: typeSTS, Domain: domain, Text: want, MXHosts: []string{"mx." + domain},
			}}}, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}
