package e2e

import (
	"encoding/json"
	"fmt"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mta-sts-daemon/resolver/resolvertest"
)

// datagram is one message to the collector, of Postfix or of the daemon.
type datagram struct {
	Version  string `json:"dpv"`
	Domain   string `json:"d"`
	Record   string `json:"pr"`
	Policies []struct {
		Type     int      `json:"policy-type"`
		Domain   string   `json:"policy-domain"`
		Text     []string `json:"policy-string"`
		MXHosts  []string `json:"mx-host"`
		Failures []struct {
			Code   int    `json:"c"`
			Reason string `json:"f"`
			MXHost string `json:"n"`
		} `json:"failure-details"`
		Total  int `json:"t"`
		Failed int `json:"f"`
	} `json:"policies"`
}

// libtlsrpt's numbers for failures of policies, RFC 8460 section 4.3.
const (
	codeFetchError    = 301
	codePolicyInvalid = 302
	codeWebPKIInvalid = 303
)

// unusable is a domain and the failure that the daemon has to report for each delivery to it.
type unusable struct {
	domain    string
	publishes func(domain string) resolvertest.Behaviour // nil: no policy
	records   []string                                   // further ones
	silent    bool                                       // it wants no reports
	want      expectation                                // of its mail
	code      int                                        // 0: nothing is reported
	reason    string                                     // an expression for all of it
	postfix   int                                        // the policy type that Postfix reports
}

var unusables = []unusable{
	// The first one confirms the clock: its policy host's certificate is valid.
	{domain: "enforce.test", publishes: enforce, want: verified, postfix: typeSTS},
	{domain: "not-found.test", publishes: notFound, want: trusted, code: codeFetchError, reason: `policy host mta-sts\.not-found\.test: .*status 404 Not Found`, postfix: typeNoPolicyFound},
	{domain: "redirect.test", publishes: redirect, want: trusted, code: codeFetchError, reason: `.*status 302 Found; .*`, postfix: typeNoPolicyFound},
	{domain: "hangs.test", publishes: hostHangs, want: trusted, code: codeFetchError, reason: `.*not done within 3s.*`, postfix: typeNoPolicyFound},
	{domain: "broken.test", publishes: broken, want: trusted, code: codePolicyInvalid, reason: `policy invalid: it has no version`, postfix: typeNoPolicyFound},
	{domain: "two-records.test", publishes: enforce, want: trusted, records: []string{`_mta-sts.two-records.test. 300 IN TXT "v=STSv1; id=other;"`},
		code: codePolicyInvalid, reason: `record invalid: there are 2 of them, .*`, postfix: typeNoPolicyFound},
	{domain: "wrong-name.test", publishes: hostWrongName, want: trusted, code: codeWebPKIInvalid, reason: `.*certificate.*`, postfix: typeNoPolicyFound},
	{domain: "expired.test", publishes: hostExpired, want: trusted, code: codeWebPKIInvalid, reason: `.*certificate has expired or is not yet valid: it is after [-0-9T:]+Z`, postfix: typeNoPolicyFound},
	{domain: "self-signed.test", publishes: hostSelfSigned, want: trusted, code: codeWebPKIInvalid, reason: `.*unknown authority.*`, postfix: typeNoPolicyFound},

	{domain: "no-record.test", want: trusted, postfix: typeNoPolicyFound},
	{domain: "testing.test", publishes: onlyTesting, want: trusted, postfix: typeNoPolicyFound},
	{domain: "none.test", publishes: none, want: trusted, postfix: typeNoPolicyFound},
	{domain: "override.test", publishes: notFound, want: trusted, postfix: typeNoPolicyFound},
	{domain: "silent.test", publishes: notFound, want: trusted, silent: true},
}

// TestDiscoveryReports has Postfix 3.10 and later, and the daemon next to it, report to one
// collector: the daemon one failure for each delivery that went without the policy
// announced, Postfix its TLS sessions as without the daemon.
func TestDiscoveryReports(t *testing.T) {
	const deliveries = 3
	for _, s := range []suite{trixie, forky} {
		t.Run(string(s), func(t *testing.T) {
			w := newWorld(t)
			s.need(t)
			sinks := map[string]*sink{}
			for i, u := range unusables {
				if u.publishes != nil {
					w.publish(u.domain, u.publishes(u.domain))
				}
				w.zone.Add(u.records...)
				if !u.silent {
					w.publishOddly(u.domain)
				}
				sinks[u.domain] = w.openMX(t, u.domain, i+1, goodCertificate)
			}
			f := startFleetOf(t, w, []suite{s}, []answers{withAttributes}, append(collected, "default_destination_concurrency_failed_cohort_limit = 0")...)
			p := f[0].postfix
			// The daemon is where Postfix is, and finds the socket below its queue directory. Its
			// answer does not wait until the fetch from a host that hangs has failed.
			d := startDaemonIn(t, w, p.root, "tlsrpt: {socket: "+collectorSocket+"}", "answer_timeout: 2s",
				fmt.Sprintf("fetch: {ca_file: %q, allow_networks: [127.0.0.0/8], timeout: 3s}", daemonCAFile),
				"overrides: {override.test: notfound}")
			d.stopLater(t)
			c := startCollector(t, p)
			row := newMatrix().row("") // not shown
			for _, u := range unusables {
				t.Run(u.domain, func(t *testing.T) {
					for range deliveries {
						f.deliver(t, row, "postmaster@"+u.domain, sinks[u.domain], always(u.want))
					}
					var sessions, failures int
					if !u.silent {
						sessions = deliveries
					}
					if u.code != 0 {
						failures = deliveries
					}
					got := c.awaitDatagrams(t, u.domain, sessions+failures)
					u.check(t, got, sessions, failures)
				})
			}
			t.Run("read", func(t *testing.T) { readReports(t, d, c) })
			t.Run("mismatch", func(t *testing.T) { mismatchReports(t, w, d, f, c) })
			// Commands and monitor mode report nothing.
			for _, args := range [][]string{{"query", "not-found.test"}, {"refresh", "not-found.test"}} {
				d.root.command(daemonPath, append(args, "--config", daemonConfig)...).Run() // however it ends
			}
			d.reload(t, "tlsrpt: {socket: "+collectorSocket+"}", "mode: monitor")
			f.deliver(t, row, "postmaster@not-found.test", sinks["not-found.test"], always(trusted))
			for _, u := range unusables {
				sessions, failures := 0, 0
				for _, g := range c.datagrams(t, u.domain) {
					if isDiscovery(g) {
						failures++
					} else {
						sessions++
					}
				}
				if u.code == 0 && failures > 0 || u.code != 0 && failures != deliveries {
					t.Errorf("%s: %d failures and %d sessions in the end", u.domain, failures, sessions)
				}
			}
		})
	}
}

// mismatchReports delivers to a domain whose policy names none of its MX hosts. Postfix
// reports nothing of it.
func mismatchReports(t *testing.T, w *world, d *daemon, f fleet, c *collector) {
	const domain, deliveries = "outside.test", 3
	w.publishOddly(domain)
	w.publish(domain, otherHost(domain))
	mx := w.openMX(t, domain, len(unusables)+1, goodCertificate)
	row := newMatrix().row("")
	send := func() { f.deliver(t, row, "postmaster@"+domain, mx, always(notNamed)) }
	send()
	d.awaitSaid(t, `msg="Policy matches none of its domain's MX hosts`, 1)
	before := len(c.datagrams(t, domain))
	for range deliveries {
		send()
	}
	got := c.awaitDatagrams(t, domain, before+deliveries)
	unusable{domain: domain, code: codeValidation, reason: "the policy matches none of the domain's MX hosts"}.check(t, got[before:], 0, deliveries)
}

// publishOddly makes domain ask for reports, in a record of two strings with a byte that
// Postfix hands over as a blank.
func (w *world) publishOddly(domain string) {
	w.zone.Add(fmt.Sprintf(`_smtp._tls.%s. 300 IN TXT "v=TLSRPTv1;\001" "rua=mailto:reports@%s"`, domain, domain))
}

// isDiscovery reports whether g is the daemon's: it has no session.
func isDiscovery(g datagram) bool {
	return len(g.Policies) == 1 && len(g.Policies[0].Failures) == 1 && g.Policies[0].Failures[0].MXHost == ""
}

// check compares the reports on the domain with the expected ones.
func (u unusable) check(t *testing.T, got []datagram, sessions, failures int) {
	t.Helper()
	gotSessions, gotFailures := 0, 0
	reason := regexp.MustCompile("^" + u.reason + "$")
	for _, g := range got {
		if want := "v=TLSRPTv1; rua=mailto:reports@" + u.domain; g.Record != want {
			t.Errorf("the record is %q, want %q", g.Record, want)
		}
		if !isDiscovery(g) {
			gotSessions++
			if p := g.Policies[0]; p.Type != u.postfix || p.Failed != 0 {
				t.Errorf("Postfix has reported %+v", g)
			}
			continue
		}
		gotFailures++
		said := g.Policies[0].Failures[0].Reason
		if !reason.MatchString(said) {
			t.Errorf("reason %q, want %q", said, u.reason)
		}
		want := datagram{Version: "1", Domain: u.domain, Record: g.Record}
		text := fmt.Sprintf(`[{"policy-type":2,"policy-domain":%q,"failure-details":[{"c":%d,"f":%q}],"t":1,"f":1}]`, u.domain, u.code, said)
		if err := json.Unmarshal([]byte(text), &want.Policies); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, g); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	}
	if gotSessions != sessions || gotFailures != failures {
		t.Errorf("%d sessions and %d failures were reported, want %d and %d", gotSessions, gotFailures, sessions, failures)
	}
}

// datagrams returns those about domain so far.
func (c *collector) datagrams(t *testing.T, domain string) (about []datagram) {
	t.Helper()
	lines, _ := c.heard.snapshot()
	for _, line := range lines {
		var g datagram
		if err := json.Unmarshal([]byte(line), &g); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		if g.Domain == domain {
			about = append(about, g)
		}
	}
	return about
}

// awaitDatagrams waits for n of them.
func (c *collector) awaitDatagrams(t *testing.T, domain string, n int) []datagram {
	t.Helper()
	tooLong := time.After(patience)
	for {
		_, grown := c.heard.snapshot()
		if about := c.datagrams(t, domain); len(about) >= n {
			return about
		}
		select {
		case <-grown:
		case <-tooLong:
			t.Fatalf("waited %v in vain for %d datagrams on %s: %+v", patience, n, domain, c.datagrams(t, domain))
		}
	}
}
