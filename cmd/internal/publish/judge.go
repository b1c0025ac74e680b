package publish

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"mta-sts-daemon/cmd/internal/explain"
	"mta-sts-daemon/cmd/internal/layout"
	"mta-sts-daemon/cmd/internal/lint"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/printable"
)

const (
	day = 24 * time.Hour

	// soon is when a certificate that ends should have been replaced. If it lives for less
	// than two months, a third of its life is left then.
	soon = 21 * day
	// A policy that lives for less than tooShort protects nobody from an attacker who
	// waits, one under advisedAge less than it could (RFC 8461 section 3.2: weeks).
	tooShort   = day
	advisedAge = 14 * day
	// testingLimit is how long a domain needs for mode testing.
	testingLimit = 90 * day
)

// endsSoon reports whether a certificate should have been replaced.
func endsSoon(cert *x509.Certificate, now time.Time) bool {
	return cert.NotAfter.Sub(now) < min(soon, cert.NotAfter.Sub(cert.NotBefore)/3)
}

// maxText limits how much of one untrusted text a finding repeats, in bytes.
const maxText = 300

func line(s string) string { return printable.Line(s, maxText) }

func date(t time.Time) string { return t.UTC().Format("2006-01-02") }

// judge turns the observations into findings.
func (l *look) judge(port port25) *Report {
	r := l.report
	r.DNSSEC, r.DANE = l.seen.MX.Authenticated, l.seen.DANE.Verdict
	for _, h := range l.hosts {
		r.hosts[h.Name] = len(h.sessions) + len(h.refused)
	}
	r.hosts[l.domain.PolicyHost()] = len(l.policyHost.fetches)
	if l.judgeDNS() {
		l.judgePublication()
		l.judgeMX()
		l.judgeHosts(port)
		l.judgeDANE()
		l.judgeTLSRPT()
		l.judgeLimits()
	}
	l.temper()
	r.finish()
	return r
}

// temper takes back that a fault of one mail host stops mail, if there is another where
// mail can go.
func (l *look) temper() {
	stopped := func(h mailHost) bool {
		if l.ifEnforced() == StopsMail && lint.MatchedBy(l.policy.MX, h.Name) == "" {
			return true
		}
		for _, f := range l.report.Findings {
			if f.Effect == StopsMail && f.Host == line(h.Name) && len(f.Addresses) == l.report.hosts[h.Name] {
				return true
			}
		}
		return false
	}
	for _, h := range l.hosts {
		if stopped(h) {
			continue
		}
		for i, f := range l.report.Findings {
			if f.Host != "" && f.Effect == StopsMail {
				l.report.Findings[i].Effect = Other
			}
		}
		return
	}
}

// judgeLimits reports hosts and addresses over the limits.
func (l *look) judgeLimits() {
	note := func(host string, left int, thing string) {
		if left > 0 {
			l.report.add(Finding{Severity: Note, Check: "left-out", Host: host, Text: layout.Count(left, "more "+thing) + " not looked at", Remedy: "Mail servers try only a few", RFC: "RFC 5321 section 5.1"})
		}
	}
	note("", l.seen.MX.Left, "MX host")
	for _, h := range l.hosts {
		note(line(h.Name), len(h.Addresses)-maxAddresses, "address")
	}
	note(l.domain.PolicyHost(), l.policyHost.left, "address")
}

// judgeDNS reports questions that were not answered, which are one finding: most often
// they have one cause. It returns false if nothing else can be judged then.
func (l *look) judgeDNS() bool {
	f := Finding{Severity: Fault, Check: "dns-failure", Remedy: "Repair the zone's name servers, or its DNSSEC signatures if it is signed"}
	var failed []string
	note := func(problem, rfc string, e Effect) {
		if problem == "" {
			return
		}
		if len(failed) == 0 {
			f.RFC = rfc
		}
		if failed = append(failed, problem); e == StopsMail {
			f.Effect = e
		}
	}
	note(l.seen.MX.Problem, "RFC 5321 section 5.1", StopsMail)
	if isDNS(l.seen.Failure) {
		note(l.seen.Problem, "RFC 8461 section 3.1", Other)
	}
	for _, h := range l.hosts {
		note(h.Problem, "RFC 5321 section 5.1", Other)
		if h.tlsaErr != nil && h.DANE == explain.HostUnknown && l.seen.MX.Authenticated {
			note(h.tlsaErr.Error(), "RFC 7672 section 2.1", StopsMail)
		}
	}
	if l.policyHost.err != nil {
		note(l.policyHost.err.Error(), "RFC 8461 section 3.3", Other)
	}
	if l.seen.TLSRPT.Failed {
		note(l.seen.TLSRPT.Problem, "RFC 8460 section 3", Other)
	}
	switch {
	case len(failed) == 0:
		return true
	case l.resolverDown != nil:
		l.report.add(Finding{Severity: Unjudged, Check: "resolver", Text: "the resolver of this host does not answer: " + line(l.resolverDown.Error()),
			Remedy: "Repair it, see /etc/resolv.conf or dns.servers in the configuration", RFC: "RFC 8461 section 3.1"})
		return false
	}
	f.Text = "the DNS does not answer: " + line(failed[0])
	if more := len(failed) - 1; more > 0 {
		f.Text += " (and " + layout.Count(more, "more question") + ")"
	}
	l.report.add(f)
	return l.seen.MX.Problem == ""
}

// judgePublication judges the record, the policy host and the policy.
func (l *look) judgePublication() {
	l.judgeFetches()
	announced := l.seen.Record.ID != ""
	if !announced && !isDNS(l.seen.Failure) {
		l.judgeNoRecord()
	}
	for _, f := range l.seen.Record.Findings {
		if announced {
			l.lint("record-text", f, "RFC 8461 section 3.1")
		}
	}
	if l.policy == nil {
		return
	}
	l.report.Mode = l.policy.Mode.String()
	for _, f := range lint.Text(l.policy.Text) {
		l.lint("policy-text", f, "RFC 8461 section 3.2")
	}
	l.judgeMaxAge()
	l.judgeMode()
	l.judgeMemory()
}

// lint takes over a finding that query has too.
func (l *look) lint(check string, f lint.Finding, rfc string) {
	severity := Note
	if f.Severity == lint.Warning {
		severity = Advice
	}
	l.report.add(Finding{Severity: severity, Check: check, Text: line(f.String()), Remedy: "Correct it, and publish a new id", RFC: rfc})
}

// judgeNoRecord judges a domain whose record is missing or malformed.
func (l *look) judgeNoRecord() {
	name := l.domain.RecordName()
	f := Finding{Severity: Fault, Effect: Unprotected, Check: "record-invalid", Text: line(l.seen.Problem),
		Remedy: "Publish exactly one TXT record at " + name + `: "v=STSv1; id=ID", with 1 to 32 letters and digits as ID`, RFC: "RFC 8461 section 3.1"}
	var hints []string
	for _, hint := range l.seen.Record.Findings {
		hints = append(hints, line(hint.String()))
	}
	_, misplaced := mtasts.ParseRecord(l.atDomain)
	switch {
	case errors.Is(l.seen.Failure, mtasts.ErrNoRecord) && !errors.Is(misplaced, mtasts.ErrNoRecord):
		f.Check, f.Text = "record-misplaced", "the MTA-STS record is at "+l.domain.String()+" in place of "+name
	case !errors.Is(l.seen.Failure, mtasts.ErrNoRecord), len(hints) > 0 || l.seen.Record.Alias != "":
		if len(hints) > 0 {
			f.Text += ": " + strings.Join(hints, "; ")
		}
	case l.known != nil && l.known.Policy != nil && l.known.Policy.Mode == mtasts.ModeEnforce.String() && l.known.Policy.Expires.After(l.now):
		f.Check, f.RFC = "record-gone", "RFC 8461 section 8.3"
		f.Text = fmt.Sprintf("there is no MTA-STS record at %s any more, and senders that have the policy enforce it until %s", name, date(l.known.Policy.Expires))
		f.Remedy = "Publish the record again; to remove MTA-STS, publish mode none first (mta-sts-daemon generate --stage remove " + l.domain.String() + ")"
	case l.policy != nil && l.policy.Mode != mtasts.ModeNone:
		f.Check = "record-missing"
		f.Text = "a policy is served, and no record at " + name + " announces it"
	case l.seen.DANE.Verdict == "full", len(l.hosts) == 0:
		return // the domain has chosen DANE, or takes no mail
	default:
		f.Severity, f.Check = Advice, "no-mta-sts"
		f.Text = "the domain has neither an MTA-STS record nor DANE: mail to it can be intercepted"
		f.Remedy = "Publish a policy (mta-sts-daemon generate " + l.domain.String() + ")"
	}
	l.report.add(f)
}

func (l *look) judgeMaxAge() {
	f := Finding{Check: "max-age", RFC: "RFC 8461 section 3.2", Text: fmt.Sprintf("max_age is %d s", int64(l.policy.MaxAge/time.Second)),
		Remedy: "Set max_age to two weeks (1209600) or more"}
	switch {
	case l.policy.Mode == mtasts.ModeNone: // which should be short (section 8.3)
	case l.policy.MaxAge < tooShort:
		f.Severity, f.Text = Fault, f.Text+", under a day: an attacker who keeps senders from the policy host for that long switches the policy off"
		l.report.add(f)
	case l.policy.MaxAge < advisedAge:
		f.Severity, f.Text = Advice, f.Text+", under two weeks: senders that seldom send to the domain have no policy when they do"
		l.report.add(f)
	}
}

func (l *look) judgeMode() {
	switch l.policy.Mode {
	case mtasts.ModeNone:
		f := Finding{Severity: Note, Check: "mode-none", Text: "mode none: senders apply no policy", RFC: "RFC 8461 section 8.3",
			Remedy: "Keep record and policy host until every older policy has ended, then remove the record first"}
		if l.known != nil && l.known.Policy != nil && l.known.Policy.Mode != "none" {
			f.Text += fmt.Sprintf(", except those that have an older one, such as the daemon here until %s", date(l.known.Policy.Expires))
		}
		l.report.add(f)
	case mtasts.ModeTesting:
		since, by := l.testingSince, "as the daemon here has seen"
		if since.IsZero() {
			since, by = idDate(l.seen.Record.ID), "by the date in its id"
		}
		if since.IsZero() || l.now.Sub(since) <= testingLimit {
			return
		}
		l.report.add(Finding{Severity: Advice, Effect: Unprotected, Check: "testing-long", RFC: "RFC 8461 section 5",
			Text:   fmt.Sprintf("mode testing since %s (%s): senders report failures, and deliver unprotected", date(since), by),
			Remedy: "Read the reports and enforce (mta-sts-daemon generate --stage enforce " + l.domain.String() + ")"})
	}
}

// firstPolicies is when RFC 8461 was published: an earlier number in an id is not a date.
// Never changed.
var firstPolicies = time.Date(2018, 9, 1, 0, 0, 0, 0, time.UTC)

// idDate returns the date that an id begins with, such as 20260131 or 20260131T120000;
// the zero time if it begins with none.
func idDate(id string) time.Time {
	const form = "20060102"
	if len(id) < len(form) {
		return time.Time{}
	}
	t, err := time.Parse(form, id[:len(form)])
	if err != nil || t.Before(firstPolicies) || t.After(time.Now().Add(day)) {
		return time.Time{}
	}
	return t
}

// judgeMemory compares the policy with the one that the daemon remembers.
func (l *look) judgeMemory() {
	if l.known == nil || l.known.Policy == nil || l.seen.Record.ID == "" || l.known.Policy.ID != l.seen.Record.ID {
		return
	}
	old, now := l.known.Policy, l.policy
	var changed []string
	if old.Mode != now.Mode.String() {
		changed = append(changed, fmt.Sprintf("mode (%s to %s)", printable.Line(old.Mode, maxText), now.Mode))
	}
	if !sameSet(old.MX, now.MX) {
		changed = append(changed, "mx")
	}
	if old.MaxAge != int64(now.MaxAge/time.Second) {
		changed = append(changed, "max_age")
	}
	if len(changed) == 0 {
		return
	}
	effect := Other
	if now.Mode == mtasts.ModeEnforce || old.Mode == mtasts.ModeEnforce.String() {
		effect = StopsMail
	}
	l.report.add(Finding{Severity: Fault, Effect: effect, Check: "id-unchanged", RFC: "RFC 8461 section 8.1",
		Text:   fmt.Sprintf("the policy changed since %s and its id did not: %s; senders use the old one until they happen to fetch it again", date(old.Fetched), strings.Join(changed, ", ")),
		Remedy: "Publish a new id, such as " + NewID(l.now, l.seen.Record.ID)})
}

// sameSet reports whether two lists have the same elements.
func sameSet(a, b []string) bool {
	set := func(list []string) []string { return slices.Compact(slices.Sorted(slices.Values(list))) }
	return slices.Equal(set(a), set(b))
}

// judgeMX judges the MX records, and holds the policy against the hosts.
func (l *look) judgeMX() {
	mx, domain := l.seen.MX, l.domain.String()
	switch {
	case mx.NoName:
		l.report.add(Finding{Severity: Fault, Effect: StopsMail, Check: "mx-none", Text: "the domain does not exist (NXDOMAIN)", Remedy: "Register or delegate it", RFC: "RFC 5321 section 5.1"})
		return
	case mx.Null && len(mx.Hosts) > 0:
		l.report.add(Finding{Severity: Fault, Effect: StopsMail, Check: "null-mx", Text: "a null MX stands next to other MX records: senders may return the mail", Remedy: "Remove the MX record with the host \".\"", RFC: "RFC 7505 section 3"})
	case mx.Null && l.applies():
		l.report.add(Finding{Severity: Advice, Check: "null-mx", Text: "the domain accepts no mail (null MX), and has a policy", Remedy: "Publish mode none, and remove it later (mta-sts-daemon generate --stage remove " + domain + ")", RFC: "RFC 7505 section 3"})
	}
	for _, h := range l.hosts {
		if h.Alias != "" && h.Preference != nil && len(h.Addresses) > 0 {
			l.report.add(Finding{Severity: Advice, Check: "mx-alias", Host: line(h.Name), Text: "it is an alias (CNAME) of " + line(h.Alias) + ", which an MX record must not name", Remedy: "Name the host itself in the MX record, and in the policy", RFC: "RFC 5321 section 5.1"})
		}
		if len(h.Addresses) == 0 && h.Problem == "" {
			l.report.add(Finding{Severity: Fault, Effect: StopsMail, Check: "mx-address", Host: line(h.Name), Text: "it has no address", Remedy: "Give it A or AAAA records, or remove it from the MX records", RFC: "RFC 5321 section 5.1"})
		}
	}
	l.judgeCoverage()
}

// judgeCoverage holds the patterns of the policy against the hosts.
func (l *look) judgeCoverage() {
	if !l.applies() || len(l.hosts) == 0 {
		return
	}
	var uncovered, unused []string
	names := l.mxNames()
	for _, name := range names {
		if lint.MatchedBy(l.policy.MX, name) == "" {
			uncovered = append(uncovered, name)
		}
	}
	for i, pattern := range l.policy.MX {
		used := false
		for _, name := range names {
			used = used || lint.MatchedBy(l.policy.MX[i:i+1], name) != ""
		}
		if !used {
			unused = append(unused, pattern)
		}
	}
	if len(uncovered) == 0 {
		if len(unused) > 0 {
			l.report.add(Finding{Severity: Advice, Check: "pattern-unused", Text: "no MX host matches the policy's mx " + some(unused), Remedy: "Remove it, unless a host is about to be added", RFC: "RFC 8461 section 3.2"})
		}
		return
	}
	f := Finding{Severity: Fault, Check: "mx-not-in-policy", RFC: "RFC 8461 section 4.1", Text: "the policy has no mx for " + some(uncovered),
		Remedy: "Add it to the policy and publish a new id"}
	if len(unused) > 0 {
		f.Text += "; its mx " + some(unused) + " matches no MX host"
	}
	if l.known != nil && !l.known.Mismatch.IsZero() {
		f.Text += "; the daemon here has seen that since " + date(l.known.Mismatch)
	}
	if len(uncovered) == len(names) {
		f.Effect = l.ifEnforced()
	}
	l.report.add(f)
}

// mxNames returns the names of all MX hosts, also of those that are not looked at.
func (l *look) mxNames() (names []string) {
	for _, h := range l.hosts {
		names = append(names, h.Name)
	}
	return append(names, l.seen.MX.LeftNames...)
}

// some writes the first few names.
func some(names []string) string {
	const most = 5
	var shown []string
	for _, name := range names[:min(len(names), most)] {
		shown = append(shown, line(name))
	}
	text := strings.Join(shown, ", ")
	if more := len(names) - len(shown); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// applies reports whether there is a policy that names MX hosts.
func (l *look) applies() bool { return l.policy != nil && l.policy.Mode != mtasts.ModeNone }

// ifEnforced is the effect of what senders do not accept under an enforced policy.
func (l *look) ifEnforced() Effect {
	if l.policy != nil && l.policy.Mode == mtasts.ModeEnforce && l.seen.Record.ID != "" {
		return StopsMail
	}
	return Other
}

// judgeTLSRPT judges the TLSRPT record.
func (l *look) judgeTLSRPT() {
	t := l.seen.TLSRPT
	f := Finding{Check: "tlsrpt-missing", RFC: "RFC 8460 section 3", Severity: Advice, Text: "there is no TLSRPT record: nobody reports failures to the domain",
		Remedy: fmt.Sprintf(`Publish a TXT record at %s: "v=TLSRPTv1; rua=mailto:ADDRESS"`, t.Name)}
	switch {
	case t.Problem == "":
		for _, fault := range l.rua {
			l.report.add(Finding{Severity: Fault, Check: "tlsrpt-rua", RFC: f.RFC, Text: fmt.Sprintf("reports cannot be sent to %s: %s", line(fault.uri), fault.reason), Remedy: "Name a destination that accepts them"})
		}
	case t.Failed: // which judgeDNS reports
	case t.Problem == lint.ErrNoTLSRPT.Error() && l.misplacedTLSRPT():
		f.Severity, f.Check, f.Text = Fault, "tlsrpt-misplaced", "the TLSRPT record is at "+l.domain.String()+" in place of "+t.Name
		l.report.add(f)
	case t.Problem == lint.ErrNoTLSRPT.Error():
		if l.applies() && l.policy.Mode == mtasts.ModeTesting {
			f.Text = "there is no TLSRPT record: nobody receives the reports that mode testing is for"
		}
		if l.applies() || l.seen.DANE.Verdict == "full" {
			l.report.add(f)
		}
	default:
		f.Severity, f.Check, f.Text = Fault, "tlsrpt-invalid", "the TLSRPT record is not valid: "+line(t.Problem)
		l.report.add(f)
	}
}

// misplacedTLSRPT reports whether the domain itself has a TLSRPT record.
func (l *look) misplacedTLSRPT() bool {
	_, err := lint.TLSRPT(l.atDomain)
	return !errors.Is(err, lint.ErrNoTLSRPT)
}

// certificateFault says in plain words why a certificate is not valid for a host.
func certificateFault(err error, host string) string {
	return line(explain.CertificateFault(err, host))
}
