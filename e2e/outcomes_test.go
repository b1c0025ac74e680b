package e2e

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	gocmp "github.com/google/go-cmp/cmp"

	"mta-sts-daemon/resolver/resolvertest"
)

// TestOutcomes has every version of Postfix deliver known numbers of messages
// of every kind, and compares what "outcomes" counts in its log, exactly. Without
// smtp_tls_loglevel only Postfix 3.11 says how mail was encrypted.
func TestOutcomes(t *testing.T) {
	w := newSignedWorld(t)
	scene := newMailScene(w)
	w.open(t)
	d := startDaemon(t, w.world, daneAlways)
	d.stopLater(t)
	scene.open(t)
	for level, settings := range map[string][]string{
		"1": {"smtp_tls_loglevel = 1", "smtp_tls_connection_reuse = yes"},
		// Postfix logs the sessions that tlsproxy(8) makes for reuse at any level.
		"0": {"smtp_tls_loglevel = 0"},
	} {
		t.Run("smtp_tls_loglevel "+level, func(t *testing.T) {
			f := startFleet(t, w.world, []answers{plain}, slices.Concat(doesDANE, settings, []string{
				"default_destination_concurrency_failed_cohort_limit = 0",
				"smtp_connection_cache_destinations = reuse.test, plain-reuse.test",
				"transport_maps = inline:{ {lmtp.test = lmtp:inet:[mx.lmtp.test]:24}, {relayed.test = smtp:[relay.test]:587}, {discard.test = discard:} }",
			})...)
			table := newCountTable()
			f.each(t, func(t *testing.T, p instance) {
				scene.deliver(t, p)
				scene.lookUp(t)
				want := scene.counts(p.suite, level == "0")
				got := d.outcomes(t, p.master.said.String())
				table.add(p, want, got.counts())
				if diff := gocmp.Diff(want, got.counts()); diff != "" {
					t.Errorf("-want +got\n%s", diff)
				}
				if blind := level == "0" && p.suite != forky; got.Blind != blind {
					t.Errorf("blind is %v, want %v", got.Blind, blind)
				}
			})
			t.Log(table)
		})
	}
}

// deliver sends all mail of the scene, and waits for its outcomes.
func (s *mailScene) deliver(t *testing.T, p instance) {
	t.Helper()
	if p.suite != bookworm {
		p.set(t, "smtp_tls_policy_maps = "+reportingMap)
	}
	p.startTLSProxy(t)
	for _, m := range s.mail {
		if !m.mapDown {
			p.deliverAll(t, m)
		}
	}
	p.set(t, "smtp_tls_policy_maps = socketmap:inet:"+nobodyAddr+":postfix")
	p.reload(t)
	for _, m := range s.mail {
		if m.mapDown {
			p.deliverAll(t, m)
		}
	}
}

// nobodyAddr is where nobody listens.
const nobodyAddr = "127.0.0.1:9"

// kindOfMail is some messages of which the same becomes.
type kindOfMail struct {
	name       string
	recipients []string // of each message
	messages   int
	probe      bool // the messages are address probes
	mapDown    bool // while they are sent, nobody answers Postfix's lookups
	want       func(s suite) mailOutcome
}

// mailOutcome is the outcome for one recipient of a message; the zero mailOutcome
// is one that is not counted.
type mailOutcome struct {
	Policy, TLS, Status, Reason string
}

// mailScene is what mail is sent to.
type mailScene struct {
	world   *signedWorld
	mail    []kindOfMail
	servers []func(t *testing.T)
	domains []string
}

// newMailScene adds the domains; the DNS is opened afterwards.
func newMailScene(w *signedWorld) *mailScene {
	s := &mailScene{world: w}
	always := func(o mailOutcome) func(suite) mailOutcome { return func(suite) mailOutcome { return o } }
	sent := func(policy, tls string) func(suite) mailOutcome {
		return always(mailOutcome{policy, tls, "sent", ""})
	}
	deferred := func(policy, tls, reason string) func(suite) mailOutcome {
		return always(mailOutcome{policy, tls, "deferred", reason})
	}
	by37 := func(old, later func(suite) mailOutcome) func(suite) mailOutcome {
		return func(v suite) mailOutcome {
			if v == bookworm {
				return old(v)
			}
			return later(v)
		}
	}
	notCounted := always(mailOutcome{})
	add := func(name string, messages int, domain string, publishes func(string) resolvertest.Behaviour, cert certificate, want func(suite) mailOutcome) *kindOfMail {
		s.sts(domain, publishes, cert)
		s.mail = append(s.mail, kindOfMail{name: name, recipients: []string{"postmaster@" + domain}, messages: messages, want: want})
		return &s.mail[len(s.mail)-1]
	}
	dane := func(name string, messages int, label string, cert certificate, want func(suite) mailOutcome, records ...string) {
		d := w.addDomain(label+".example", records...)
		s.servers = append(s.servers, func(t *testing.T) { w.startServers(t, d, cert, "") })
		s.domains = append(s.domains, d.name)
		s.mail = append(s.mail, kindOfMail{name: name, recipients: []string{"postmaster@" + d.name}, messages: messages, want: want})
	}
	add("good", 4, "good.test", enforce, goodCertificate, sent("sts", "verified"))
	add("wrong name", 2, "wrong-name.test", enforce, wrongName,
		by37(deferred("sts", "untrusted", "certificate"), deferred("sts", "trusted", "certificate")))
	add("expired", 3, "expired.test", enforce, expired, deferred("sts", "untrusted", "certificate"))
	add("no STARTTLS", 2, "no-starttls.test", enforce, noSTARTTLS, deferred("sts", "none", "no-starttls"))
	add("handshake fails", 2, "no-handshake.test", enforce, noHandshake, deferred("sts", "none", "handshake"))
	add("outside the policy", 3, "outside.test", otherHost, goodCertificate,
		by37(deferred("sts", "untrusted", "certificate"), deferred("sts", "none", "mx-not-in-policy")))
	dane("DANE, good", 3, "dane-good", matching, sent("dane", "verified"),
		"$D MX 10 mx.$D", "mx.$D A $1", "_25._tcp.mx.$D TLSA 3 1 1 $GOOD")
	dane("DANE, bad", 2, "dane-bad", public, deferred("dane", "untrusted", "certificate"),
		"$D MX 10 mx.$D", "mx.$D A $1", "_25._tcp.mx.$D TLSA 3 1 1 $BAD")
	dane("DANE, TLSA not known", 2, "dane-unknown", matching, deferred("dane", "none", "tlsa"),
		"$D MX 10 mx.$D", "mx.$D A $1", "_25._tcp.mx.$D CNAME $B", "$B TLSA 3 1 1 $GOOD")
	add("testing, wrong name", 2, "testing.test", onlyTesting, wrongName, sent("none", "trusted"))
	add("no policy, good", 2, "no-policy.test", nil, goodCertificate, sent("none", "trusted"))
	add("no policy, self-signed", 3, "no-policy-self-signed.test", nil, selfSigned, sent("none", "untrusted"))
	add("no policy, no STARTTLS", 5, "plain.test", nil, noSTARTTLS, sent("none", "none"))
	// Postfix goes on without TLS only with mail that has waited.
	add("no policy, handshake fails", 2, "no-policy-no-handshake.test", nil, noHandshake, deferred("none", "none", "handshake"))
	add("reuse", 6, "reuse.test", enforce, goodCertificate, sent("sts", "verified"))
	add("reuse in clear", 4, "plain-reuse.test", nil, noSTARTTLS, sent("none", "none"))
	add("three recipients", 2, "three.test", enforce, goodCertificate, sent("sts", "verified")).recipients =
		[]string{"a@three.test", "b@three.test", "c@three.test"}
	s.sts("two-a.test", nil, selfSigned)
	s.sts("two-b.test", nil, selfSigned)
	s.mail = append(s.mail, kindOfMail{name: "two domains", recipients: []string{"a@two-a.test", "a@two-b.test", "b@two-b.test"},
		messages: 2, want: sent("none", "untrusted")})
	s.domains = append(s.domains, "missing.test")
	s.mail = append(s.mail,
		kindOfMail{name: "no such domain", recipients: []string{"a@missing.test"}, messages: 2,
			want: always(mailOutcome{"none", "none", "bounced", ""})},
		kindOfMail{name: "probe", recipients: []string{"probe@good.test"}, messages: 3, probe: true, want: notCounted},
		kindOfMail{name: "probe, no such domain", recipients: []string{"probe@missing.test"}, messages: 2, probe: true, want: notCounted})
	add("LMTP", 3, "lmtp.test", nil, noSTARTTLS, notCounted)
	s.at("mx.lmtp.test", 24, noSTARTTLS)
	s.domains = append(s.domains, "[relay.test]:587")
	s.at("relay.test", 587, goodCertificate)
	s.mail = append(s.mail, kindOfMail{name: "relay, port 587", recipients: []string{"a@relayed.test"}, messages: 2, want: sent("none", "trusted")},
		kindOfMail{name: "map down", recipients: []string{"postmaster@good.test"}, messages: 3, mapDown: true,
			want: deferred("sts", "none", "policy-lookup")})
	return s
}

// sts adds a domain without DANE and its MX host. publishes is nil for none.
func (s *mailScene) sts(domain string, publishes func(string) resolvertest.Behaviour, cert certificate) {
	n := len(s.servers) + 1
	s.domains = append(s.domains, domain)
	if publishes != nil {
		s.world.publish(domain, publishes(domain))
	}
	s.servers = append(s.servers, func(t *testing.T) { s.world.openMX(t, domain, 100+n, cert) })
}

// at adds a host that takes mail at another port.
func (s *mailScene) at(host string, port int, cert certificate) {
	address := fmt.Sprintf("127.0.3.%d", len(s.servers)+1)
	s.servers = append(s.servers, func(t *testing.T) {
		s.world.addHost(host, address)
		startSink(t, s.world.ca, fmt.Sprintf("%s:%d", address, port), host, cert)
	})
}

func (s *mailScene) open(t *testing.T) {
	t.Helper()
	for _, start := range s.servers {
		start(t)
	}
}

// lookUp has the daemon look all domains up, so that its memory knows them.
func (s *mailScene) lookUp(t *testing.T) {
	t.Helper()
	for _, domain := range s.domains {
		if _, err := askOnce(domain); err != nil {
			t.Fatal(err)
		}
	}
}

// counts are the expected counts for a version, with or without TLS lines in the
// log.
func (s *mailScene) counts(v suite, silent bool) outcomeCounts {
	c := newOutcomeCounts()
	for _, m := range s.mail {
		o := m.want(v)
		switch {
		case o == (mailOutcome{}) || !silent:
		case v != forky:
			o.TLS = "unknown"
		case o.TLS == "trusted": // tls= says nothing of certificates that need not match
			o.TLS = "untrusted"
		}
		c.add(o, m.messages, len(m.recipients))
	}
	return c
}

// deliverAll sends the messages and waits until each recipient has an outcome.
func (p instance) deliverAll(t *testing.T, m kindOfMail) {
	t.Helper()
	lines, _ := p.master.said.snapshot()
	seen := len(lines)
	for range m.messages {
		args := []string{"-f", "sender@discard.test"}
		if m.probe {
			args = append(args, "-bv")
		}
		sendmail := p.root.command("/usr/sbin/sendmail", append(append(args, "--"), m.recipients...)...)
		sendmail.Stdin = strings.NewReader("Subject: outcomes\n\nHello.\n")
		run(t, sendmail)
	}
	await(t, p.master, fmt.Sprintf("all outcomes of %q", m.name), func(lines []string) (struct{}, bool) {
		n := 0
		for _, line := range lines[seen:] {
			for _, rcpt := range m.recipients {
				if strings.Contains(line, ": to=<"+rcpt+">, ") {
					n++
				}
			}
		}
		return struct{}{}, n >= m.messages*len(m.recipients)
	})
}

// set changes a parameter of main.cf, which a reload puts in force.
func (p instance) set(t *testing.T, setting string) {
	t.Helper()
	run(t, p.root.command("/usr/sbin/postconf", "-e", setting))
}

// outcomeCounts are the counts of "outcomes".
type outcomeCounts struct {
	Deliveries map[[3]string]int // by policy, TLS, status
	Failures   map[string]int    // by reason
	Messages   map[string]int    // by status
}

func newOutcomeCounts() outcomeCounts {
	return outcomeCounts{make(map[[3]string]int), make(map[string]int), make(map[string]int)}
}

func (c outcomeCounts) add(o mailOutcome, messages, recipients int) {
	if o == (mailOutcome{}) {
		return
	}
	c.Deliveries[[3]string{o.Policy, o.TLS, o.Status}] += messages * recipients
	c.Messages[o.Status] += messages
	if o.Reason != "" {
		c.Failures[o.Reason] += messages * recipients
	}
}

// outcomesReport is what "outcomes --json" prints, as far as the tests read it.
type outcomesReport struct {
	Deliveries []struct {
		Policy, TLS, Status string
		Count               int
	}
	Failures []struct {
		Reason string
		Count  int
	}
	Messages []struct {
		Status string
		Count  int
	}
	Blind bool
}

func (r outcomesReport) counts() outcomeCounts {
	c := newOutcomeCounts()
	for _, d := range r.Deliveries {
		c.Deliveries[[3]string{d.Policy, d.TLS, d.Status}] += d.Count
	}
	for _, f := range r.Failures {
		c.Failures[f.Reason] += f.Count
	}
	for _, m := range r.Messages {
		c.Messages[m.Status] += m.Count
	}
	return c
}

// outcomes runs the command on a log.
func (d *daemon) outcomes(t *testing.T, log string) (report outcomesReport) {
	t.Helper()
	const name = "/var/log/mail.log"
	d.root.write(t, name, log+"\n")
	cmd := d.root.command(daemonPath, "outcomes", "--config", daemonConfig, "--json", name)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("outcomes: %v\n%s", err, stderr.Bytes())
	}
	if err := json.Unmarshal(out, &report); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	return report
}

// countTable is every count of every version, wanted and got.
type countTable struct {
	versions []string
	cells    map[string]map[string]string // row, version
}

func newCountTable() *countTable { return &countTable{cells: make(map[string]map[string]string)} }

func (ct *countTable) add(p instance, want, got outcomeCounts) {
	ct.versions = append(ct.versions, p.version)
	note := func(row string, want, got int) {
		if ct.cells[row] == nil {
			ct.cells[row] = make(map[string]string)
		}
		ct.cells[row][p.version] = fmt.Sprintf("%d / %d", got, want)
	}
	for _, k := range keys(want.Deliveries, got.Deliveries) {
		note("delivery "+strings.Join(k[:], " "), want.Deliveries[k], got.Deliveries[k])
	}
	for _, k := range keys(want.Failures, got.Failures) {
		note("failure "+k, want.Failures[k], got.Failures[k])
	}
	for _, k := range keys(want.Messages, got.Messages) {
		note("message "+k, want.Messages[k], got.Messages[k])
	}
}

func keys[K comparable](a, b map[K]int) (all []K) {
	for k := range a {
		all = append(all, k)
	}
	for k := range b {
		if _, ok := a[k]; !ok {
			all = append(all, k)
		}
	}
	return all
}

// String is the table: counted / sent.
func (ct *countTable) String() string {
	rows := make([]string, 0, len(ct.cells))
	for row := range ct.cells {
		rows = append(rows, row)
	}
	slices.SortFunc(rows, cmp.Compare[string])
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 1, ' ', 0)
	fmt.Fprint(w, "\ncounted / sent")
	for _, v := range ct.versions {
		fmt.Fprintf(w, "\t| %s", v)
	}
	for _, row := range rows {
		fmt.Fprint(w, "\n"+row)
		for _, v := range ct.versions {
			fmt.Fprintf(w, "\t| %s", cmp.Or(ct.cells[row][v], "-"))
		}
	}
	fmt.Fprintln(w)
	w.Flush()
	return b.String()
}
