package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The words of RFC 8460 sections 4.2 and 4.3 for libtlsrpt's numbers.
var (
	policyTypeNames = map[int]string{typeSTS: "sts", typeNoPolicyFound: "no-policy-found"} // never changed
	resultTypeNames = map[int]string{                                                      // never changed
		codeNoSTARTTLS:    "starttls-not-supported",
		codeHostMismatch:  "certificate-host-mismatch",
		codeExpired:       "certificate-expired",
		codeValidation:    "validation-failure",
		codeFetchError:    "sts-policy-fetch-error",
		codePolicyInvalid: "sts-policy-invalid",
		codeWebPKIInvalid: "sts-webpki-invalid",
	}
)

// summarised is the JSON of the command reports.
type summarised struct {
	Policies []summarisedPolicy `json:"policies"`
}

type summarisedPolicy struct {
	Domain  string             `json:"domain"`
	Type    string             `json:"type"`
	Success int                `json:"success"`
	Failure int                `json:"failure"`
	Results []summarisedResult `json:"results"`
}

type summarisedResult struct {
	ResultType string `json:"result_type"`
	MX         string `json:"mx"`
	Count      int    `json:"count"`
}

// readReports makes a report for each domain of the datagrams that Postfix and the daemon have
// sent, as a reporter does, and reads the mails with the command reports: it finds
// each session and each failure.
func readReports(t *testing.T, d *daemon, c *collector) {
	t.Helper()
	const maildir = "/reports"
	var want []summarisedPolicy
	failures := 0
	for _, u := range unusables {
		var policies []summarisedPolicy
		for _, g := range c.datagrams(t, u.domain) {
			for _, p := range g.Policies {
				kind := policyTypeNames[p.Type]
				i := slices.IndexFunc(policies, func(s summarisedPolicy) bool { return s.Type == kind })
				if i < 0 {
					i = len(policies)
					policies = append(policies, summarisedPolicy{Domain: p.Domain, Type: kind, Results: []summarisedResult{}})
				}
				if p.Failed == 0 {
					policies[i].Success++
					continue
				}
				failures++
				policies[i].Failure++
				for _, f := range p.Failures {
					policies[i].count(resultTypeNames[f.Code], f.MXHost)
				}
			}
		}
		if len(policies) > 0 {
			d.root.write(t, fmt.Sprintf("%s/new/%s", maildir, u.domain), reportMail(t, u.domain, policies))
			want = append(want, policies...)
		}
	}
	if failures == 0 {
		t.Fatal("no failure was reported")
	}
	out, err := d.root.command(daemonPath, "reports", "--json", maildir).Output()
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 2 {
		t.Fatalf("reports: %v, want exit status 2\n%s", err, out)
	}
	var got summarised
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	byName := func(a, b summarisedPolicy) int { return strings.Compare(a.Domain+" "+a.Type, b.Domain+" "+b.Type) }
	slices.SortFunc(want, byName)
	slices.SortFunc(got.Policies, byName)
	if diff := cmp.Diff(want, got.Policies); diff != "" {
		t.Errorf("-sent +read\n%s", diff)
	}
}

// count adds one failure.
func (p *summarisedPolicy) count(result, mx string) {
	for i := range p.Results {
		if p.Results[i].ResultType == result && p.Results[i].MX == mx {
			p.Results[i].Count++
			return
		}
	}
	p.Results = append(p.Results, summarisedResult{result, mx, 1})
}

// reportMail is a report in a mail, RFC 8460 sections 4 and 5.3.
func reportMail(t *testing.T, domain string, policies []summarisedPolicy) string {
	t.Helper()
	type object = map[string]any
	var list []object
	for _, p := range policies {
		details := []object{}
		for _, r := range p.Results {
			details = append(details, object{"result-type": r.ResultType, "receiving-mx-hostname": r.MX, "failed-session-count": r.Count})
		}
		list = append(list, object{
			"policy":          object{"policy-type": p.Type, "policy-domain": p.Domain},
			"summary":         object{"total-successful-session-count": p.Success, "total-failure-session-count": p.Failure},
			"failure-details": details,
		})
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	err := json.NewEncoder(w).Encode(object{
		"organization-name": "host.test", "report-id": "1_" + domain, "contact-info": "postmaster@host.test",
		"date-range": object{"start-datetime": "2026-01-01T00:00:00Z", "end-datetime": "2026-01-01T23:59:59Z"},
		"policies":   list,
	})
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return "From: tls@host.test\nSubject: Report Domain: " + domain + " Submitter: host.test Report-ID: <1@host.test>\n" +
		"TLS-Report-Domain: " + domain + "\nTLS-Report-Submitter: host.test\nMIME-Version: 1.0\n" +
		"Content-Type: multipart/report; report-type=\"tlsrpt\"; boundary=\"b\"\n\n--b\nContent-Type: text/plain\n\nA TLS report.\n" +
		"--b\nContent-Type: application/tlsrpt+gzip\nContent-Transfer-Encoding: base64\n\n" +
		base64.StdEncoding.EncodeToString(packed.Bytes()) + "\n--b--\n"
}
