package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"mta-sts-daemon/cmd/internal/clients"
	"mta-sts-daemon/cmd/internal/layout"
	"mta-sts-daemon/cmd/internal/lint"
	"mta-sts-daemon/resolver/mtasts"
)

// Stage is a step of a roll-out.
type Stage string

const (
	StageTesting Stage = "testing" // senders report failures, and deliver as before
	StageEnforce Stage = "enforce" // senders deliver only to hosts that satisfy the policy
	StageRemove  Stage = "remove"  // the way back (RFC 8461 section 8.3)
)

// Stages returns all stages in their order.
func Stages() []Stage { return []Stage{StageTesting, StageEnforce, StageRemove} }

const (
	// DefaultMaxAge is how long senders keep a policy: the least that Check has no
	// advice about, because it is how long the way back takes too.
	DefaultMaxAge = advisedAge
	// removalMaxAge is that of mode none (RFC 8461 section 8.3: "e.g., one day").
	removalMaxAge = day
	// reportsFor is how long reports are collected before a policy is enforced. Each
	// sender sends one a day.
	reportsFor = 14 * day
	recordTTL  = time.Hour
)

// Request is what to generate.
type Request struct {
	Stage  Stage
	MaxAge time.Duration // 0: DefaultMaxAge
	// MX are the patterns; none: the names of the MX hosts.
	MX []string
	// RUA is the destination of reports; "": the published one, else tlsrpt@DOMAIN.
	RUA string
	// Directory will hold the files; the web server's configuration names it; "": /srv/mta-sts/DOMAIN.
	Directory string
}

// Publication is what to publish, and the way there.
type Publication struct {
	Domain string `json:"domain"`
	Stage  Stage  `json:"stage"`
	// Refused is why nothing is generated; the other fields are empty then.
	Refused []Finding `json:"refused,omitempty"`
	// Unverified are the checks that could not be made from here.
	Unverified []Finding `json:"unverified,omitempty"`
	Policy     string    `json:"policy,omitempty"`
	// Records are lines of a zone file.
	Records []string `json:"records,omitempty"`
	Nginx   string   `json:"nginx,omitempty"`
	Caddy   string   `json:"caddy,omitempty"`
	// Plan are the steps, in order.
	Plan []string `json:"plan,omitempty"`
}

// ExitStatus returns the exit status for scripts.
func (p *Publication) ExitStatus() int {
	switch {
	case len(p.Refused) > 0:
		return ExitFault
	case len(p.Unverified) > 0:
		return ExitUnjudged
	}
	return ExitClean
}

// Generate makes a policy of the domain's MX hosts, after it has looked at them as Check
// does. It refuses to name hosts that the policy would keep mail from.
func Generate(ctx context.Context, c clients.Clients, d mtasts.Domain, r Request, o Options) *Publication {
	p := newProber(o.TestingOnlyPort)
	l := newLook(c, o, p, d)
	l.gather(ctx)
	port := p.port25(ctx, c, o.Reference)
	out := &Publication{Domain: d.String(), Stage: r.Stage}
	if r.MaxAge == 0 {
		r.MaxAge = DefaultMaxAge
	}
	if r.Directory == "" {
		r.Directory = "/srv/mta-sts/" + d.String()
	}
	published, patterns := l.published(), r.MX
	if len(patterns) == 0 {
		patterns = l.mxNames()
	}
	text := policyText(r.Stage, patterns, r.MaxAge)
	policy, err := mtasts.ParsePolicy(text)
	if r.Stage != StageRemove {
		out.Refused, out.Unverified = l.wouldFail(&policy, err, port)
	}
	if len(out.Refused) > 0 {
		return out
	}
	id := NewID(l.now, l.seen.Record.ID)
	out.Policy = text
	out.Records = l.records(id, r)
	out.Nginx = nginxServer(d, r.Directory)
	out.Caddy = caddySite(d, r.Directory)
	out.Plan = l.plan(r, published)
	return out
}

// published returns the policy that is served now, or nil.
func (l *look) published() *mtasts.Policy {
	for _, f := range l.policyHost.fetches {
		if policy, err := mtasts.ParsePolicy(f.Text); f.err == nil && err == nil {
			return &policy
		}
	}
	return nil
}

// wouldFail judges the mail hosts as if the policy were published and enforced: what
// would be a fault then refuses the policy.
func (l *look) wouldFail(policy *mtasts.Policy, invalid error, port port25) (refused, unverified []Finding) {
	if len(l.hosts) == 0 && l.seen.MX.Null {
		return []Finding{{Severity: Fault, Effect: Other, Check: "null-mx", Text: "the domain accepts no mail (null MX), so there is nothing to protect", Remedy: "Publish no policy, or remove the null MX first", RFC: "RFC 7505 section 3"}}, nil
	}
	if invalid == nil {
		l.policy = policy
	} else if len(l.hosts) > 0 {
		l.report.add(Finding{Severity: Fault, Check: "policy-invalid", Text: line(invalid.Error()), Remedy: "Name each MX host, or *. and its domain", RFC: "RFC 8461 section 3.2"})
	}
	r := l.report
	for _, h := range l.hosts {
		r.hosts[h.Name] = len(h.sessions) + len(h.refused)
	}
	if l.judgeDNS() {
		l.judgeMX()
		l.judgeHosts(port)
	}
	if left := l.seen.MX.Left; left > 0 {
		r.add(Finding{Severity: Unjudged, Check: "left-out", Text: layout.Count(left, "more MX host") + " not looked at", Remedy: "Look at their certificates yourself", RFC: "RFC 8461 section 4.2"})
	}
	r.finish()
	for _, f := range r.Findings {
		switch f.Severity {
		case Fault:
			refused = append(refused, f)
		case Unjudged:
			unverified = append(unverified, f)
		}
	}
	if len(l.hosts) == 0 && len(refused) == 0 { // the resolver does not answer
		return unverified, nil
	}
	return refused, unverified
}

// policyText writes a policy with the line ends that RFC 8461 section 3.2 has.
func policyText(s Stage, patterns []string, maxAge time.Duration) string {
	lines := []string{"version: STSv1"}
	if s == StageRemove {
		lines = append(lines, "mode: none", fmt.Sprintf("max_age: %d", removalMaxAge/time.Second))
	} else {
		lines = append(lines, "mode: "+string(s))
		for _, pattern := range patterns {
			lines = append(lines, "mx: "+line(pattern))
		}
		lines = append(lines, fmt.Sprintf("max_age: %d", maxAge/time.Second))
	}
	return strings.Join(lines, "\r\n") + "\r\n"
}

// records are the records to publish; comments are for what depends on the web server.
func (l *look) records(id string, r Request) []string {
	ttl := int(recordTTL / time.Second)
	lines := []string{fmt.Sprintf("%s. %d IN TXT %s", l.domain.RecordName(), ttl, characterStrings("v=STSv1; id="+id))}
	if len(l.policyHost.fetches) == 0 && r.Stage != StageRemove {
		lines = append(lines, fmt.Sprintf("; %s. %d IN CNAME the name of the web server, or A and AAAA with its addresses", l.domain.PolicyHost(), ttl))
	}
	rua, ok := l.rua8460(r.RUA)
	if !ok {
		lines = append(lines, fmt.Sprintf("%s. %d IN TXT %s", l.seen.TLSRPT.Name, ttl, characterStrings("v=TLSRPTv1; rua="+rua)))
	}
	return lines
}

// characterStrings writes the text of a TXT record as a zone file has it: in strings of
// at most 255 bytes.
func characterStrings(text string) string {
	var quoted []string
	for part := range slices.Chunk([]byte(text), 255) {
		quoted = append(quoted, `"`+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(string(part))+`"`)
	}
	return strings.Join(quoted, " ")
}

// rua8460 returns where reports are to go, and whether a record says so already.
func (l *look) rua8460(wanted string) (rua string, published bool) {
	valid := l.seen.TLSRPT.Problem == "" && len(l.rua) == 0
	switch {
	case wanted != "":
		return wanted, valid && slices.Equal(l.seen.TLSRPT.RUA, []string{wanted})
	case valid:
		return strings.Join(l.seen.TLSRPT.RUA, ","), true
	}
	return "mailto:tlsrpt@" + l.domain.String(), false
}

// ValidRUA returns why a destination cannot stand in a TLSRPT record, or nil.
func ValidRUA(uri string) error {
	rua, err := lint.TLSRPT([]string{"v=TLSRPTv1; rua=" + uri})
	if err == nil && len(rua) != 1 {
		err = errors.New("name one destination")
	}
	return err
}

// plan is the way to the stage, and what follows.
func (l *look) plan(r Request, published *mtasts.Policy) (steps []string) {
	d, check := l.domain.String(), "mta-sts-daemon check "+l.domain.String()
	step := func(format string, args ...any) { steps = append(steps, fmt.Sprintf(format, args...)) }
	serve := fmt.Sprintf("Serve the policy at https://%s%s, with the configuration for nginx or Caddy. It must answer before the record does.", l.domain.PolicyHost(), policyPath)
	record := "Then publish the TXT record with the new id."
	switch r.Stage {
	case StageTesting:
		if published != nil && published.Mode == mtasts.ModeEnforce {
			step("Note: the domain enforces a policy now. Senders that have it enforce it until they see the new id.")
		}
		step("Publish the TLSRPT record and the address of %s, unless they are there.", l.domain.PolicyHost())
		step("%s", serve)
		step("%s", record)
		step("Run: %s", check)
		step("Send a message to another provider and have it answered: mail must still arrive.")
		step("Read the reports for two weeks, until %s at least: mta-sts-daemon reports FILE...", date(l.now.Add(reportsFor)))
		step("If no report has failures of your own hosts: mta-sts-daemon generate --stage enforce %s", d)
	case StageEnforce:
		if published == nil || published.Mode != mtasts.ModeTesting {
			step("Note: no policy in mode testing is published now. Better begin with: mta-sts-daemon generate --stage testing %s", d)
		}
		step("Run: %s. Repair every fault first: from now on it stops mail.", check)
		step("%s", serve)
		step("%s Senders notice it when the TTL of the old record has passed.", record)
		step("Run %s again, and by cron every day with --quiet: it warns before a certificate ends.", check)
		step("Before an MX host is added or renamed: first add it to the policy and publish a new id, wait %v, then change the MX records.", span(r.MaxAge))
		step("The way back takes %v, the max_age: mta-sts-daemon generate --stage remove %s", span(r.MaxAge), d)
	case StageRemove:
		wait := max(l.longest(published), removalMaxAge)
		step("Serve the policy with mode none in place of the old one. Keep the TLS of the MX hosts as it is.")
		step("%s Senders notice it when the TTL of the old record has passed.", record)
		step("Run: %s. It notes mode none, and nothing else.", check)
		step("Wait %v, until %s: the longest max_age served before may last that long. If a longer one was served, wait for that.", span(wait), date(l.now.Add(wait)))
		step("Remove the TXT record at %s, and wait for its TTL.", l.domain.RecordName())
		step("Remove the policy and the name %s. The TLSRPT record may stay.", l.domain.PolicyHost())
	}
	return steps
}

// longest is the longest max_age that is known to be in force.
func (l *look) longest(published *mtasts.Policy) time.Duration {
	longest := time.Duration(0)
	if published != nil {
		longest = published.MaxAge
	}
	if l.known != nil && l.known.Policy != nil {
		longest = max(longest, l.known.Policy.Expires.Sub(l.now).Truncate(time.Hour))
	}
	if longest == 0 {
		return DefaultMaxAge // the earlier policy is not known
	}
	return longest
}

// span writes a time span in days, or hours if it is short.
func span(d time.Duration) string {
	unit, name := day, "day"
	if d < 2*day {
		unit, name = time.Hour, "hour"
	}
	return layout.Count(int((d+unit-1)/unit), name)
}
