// Package publish is for those who publish a policy for their own domain. Check looks at
// all that senders need of it: record, policy host, policy, MX hosts with their real
// certificates, TLSA and TLSRPT records. Generate makes a policy and its records.
//
// All that the DNS, policy hosts and mail servers send is untrusted: it is bounded in
// bytes and time, and made printable before it is repeated.
package publish

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Severity says how soon the publisher has to act on a finding.
type Severity string

const (
	// Fault needs repair: mail stops, or is not protected as the policy says.
	Fault Severity = "fault"
	// Unjudged: something could not be looked at from here.
	Unjudged Severity = "not judged"
	// Advice is for what will become a fault, or protects less than it could.
	Advice Severity = "advice"
	// Note is good to know, and needs nothing done.
	Note Severity = "note"
)

// Effect is the consequence of a finding for mail. Findings are listed in this order.
type Effect string

const (
	StopsMail   Effect = "stops mail"  // senders that go by the policy or by DANE cannot deliver
	Unprotected Effect = "unprotected" // senders do not apply the policy
	Other       Effect = "other"
)

// severities and effects in the order in which findings are listed.
func severities() []Severity { return []Severity{Fault, Unjudged, Advice, Note} }
func effects() []Effect      { return []Effect{StopsMail, Unprotected, Other} }

// Finding is one thing that was found. Text and Remedy are printable ASCII in one line.
type Finding struct {
	Severity Severity `json:"severity"`
	Effect   Effect   `json:"effect"`
	// Check is a word for scripts. Words are not changed, new ones may come.
	Check string `json:"check"`
	// Host is the mail or policy host that it is about; "" for the domain.
	Host string `json:"host,omitempty"`
	// Addresses of Host that it is about; none for all of them.
	Addresses []string `json:"addresses,omitempty"`
	Text      string   `json:"text"`
	Remedy    string   `json:"remedy"`
	// RFC is the section that it goes by, such as "RFC 8461 section 3.2".
	RFC string `json:"rfc"`
}

// Report has the findings of one domain.
type Report struct {
	Domain string `json:"domain"`
	// Mode is that of the published policy; "" without one.
	Mode string `json:"mode,omitempty"`
	// DNSSEC reports whether the MX records are authenticated.
	DNSSEC bool `json:"dnssec"`
	// DANE is full, partial, unusable, unknown or none; "" if it cannot be known.
	DANE     string    `json:"dane"`
	Findings []Finding `json:"findings"`

	hosts map[string]int // how many addresses of a host were looked at
}

// add adds a finding. The same finding at another address of a host is added to it.
func (r *Report) add(f Finding) {
	if f.Effect == "" {
		f.Effect = Other
	}
	same := slices.IndexFunc(r.Findings, func(g Finding) bool {
		return g.Host == f.Host && g.Check == f.Check && g.Text == f.Text
	})
	if same < 0 {
		r.Findings = append(r.Findings, f)
		return
	}
	g := &r.Findings[same]
	for _, a := range f.Addresses {
		if !slices.Contains(g.Addresses, a) {
			g.Addresses = append(g.Addresses, a)
		}
	}
}

// finish puts the findings in order: what stops mail first. Addresses are left out if
// a finding is about all of a host's.
func (r *Report) finish() {
	for i, f := range r.Findings {
		if len(f.Addresses) == r.hosts[f.Host] {
			r.Findings[i].Addresses = nil
		}
	}
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(slices.Index(severities(), a.Severity), slices.Index(severities(), b.Severity)),
			cmp.Compare(slices.Index(effects(), a.Effect), slices.Index(effects(), b.Effect)))
	})
}

// String is the finding in one line, without its domain.
func (f Finding) String() string {
	where := ""
	if f.Host != "" {
		where = f.Host
		if len(f.Addresses) > 0 {
			where += " [" + strings.Join(f.Addresses, ", ") + "]"
		}
		where += ": "
	}
	severity := string(f.Severity)
	if f.Effect == StopsMail && f.Severity == Fault {
		severity += ", stops mail"
	}
	return fmt.Sprintf("%s: %s%s. %s.", severity, where, f.Text, f.Remedy)
}

// Exit statuses of check and generate.
const (
	ExitClean    = 0
	ExitAdvice   = 1
	ExitFault    = 2
	ExitUnjudged = 3
)

// ExitStatus is what several reports mean to scripts: the most serious finding counts.
func ExitStatus(reports ...*Report) int {
	status := ExitClean
	for _, r := range reports {
		for _, f := range r.Findings {
			switch f.Severity {
			case Fault:
				return ExitFault
			case Unjudged:
				status = ExitUnjudged
			case Advice:
				status = max(status, ExitAdvice)
			}
		}
	}
	return status
}
