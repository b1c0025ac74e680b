package reports

import (
	"cmp"
	"slices"

	"mta-sts-daemon/cmd/internal/layout"
)

// Verdict says if a domain can enforce its policy, by the reports.
type Verdict int

// The verdicts, in the order in which they need the domain's owner.
const (
	Safe    Verdict = iota // sessions under the policy succeeded, and none failed
	Advice                 // no mail would be deferred, but something is wrong
	Unknown                // no session under an MTA-STS policy was reported
	Fault                  // mail is deferred, or would be, or nobody could use the policy
)

// effect is the effect of a failed session on mail.
type effect int

const (
	// defers: the sender defers mail, once the policy is enforced.
	defers effect = iota
	// unprotected: the sender could not fetch or use the policy, and sends without.
	unprotected
	// defersNow: a sender that does DANE defers mail, whatever the MTA-STS policy says.
	defersNow
)

// resultType describes a result type of RFC 8460 section 4.3.
type resultType struct {
	name   string
	effect effect
	remedy string
}

// resultTypes are all that RFC 8460 has; others are taken for sessions that fail.
var resultTypes = []resultType{ // never changed
	{"starttls-not-supported", defers, "The MX host does not offer STARTTLS. Switch TLS on in the mail server (Postfix: smtpd_tls_security_level = may), and look for a firewall that removes STARTTLS. From a single sender only, it can be an attack on the way."},
	{"certificate-host-mismatch", defers, "The certificate does not have the MX host's name. Get a certificate for the name that the MX record has."},
	{"certificate-expired", defers, "The certificate has expired. Renew it, and reload the mail server after each renewal."},
	{"certificate-not-trusted", defers, "The certificate does not lead to an authority that senders trust. Use a public authority, and have the mail server send the intermediate certificates."},
	{"validation-failure", defers, "The sender gives no more exact result. The MX host may not be in the policy, or its TLS is too old."},
	{"sts-policy-fetch-error", unprotected, "The sender could not fetch the policy. Check https://mta-sts.DOMAIN/.well-known/mta-sts.txt from outside, over IPv4 and IPv6."},
	{"sts-policy-invalid", unprotected, "The policy, or the _mta-sts record, is not valid. Check their text."},
	{"sts-webpki-invalid", unprotected, "The certificate of the policy host is not valid for mta-sts.DOMAIN."},
	{"tlsa-invalid", defersNow, "The TLSA records do not match the MX host's certificate. Publish new TLSA records before the certificate changes."},
	{"dnssec-invalid", defersNow, "The DNSSEC signatures of the domain or of the MX host's domain are not valid, or have expired."},
	{"dane-required", defersNow, "The sender requires DANE and found no usable TLSA records."},
}

func effectOf(policyType, result string) effect {
	if policyType == typeTLSA {
		return defersNow
	}
	for _, t := range resultTypes {
		if t.name == result {
			return t.effect
		}
	}
	return defers
}

// domain is the result for one domain.
type domain struct {
	name     string
	verdict  Verdict
	reason   string
	policies []Policy
	sts      bool // sessions under an MTA-STS policy are reported
}

// judge puts the policies of each domain together, those that need their owner most first.
func judge(policies []Policy) []domain {
	index := map[string]int{}
	var all []domain
	for _, p := range policies {
		i, ok := index[p.Domain]
		if !ok {
			i = len(all)
			index[p.Domain] = i
			all = append(all, domain{name: p.Domain})
		}
		all[i].policies = append(all[i].policies, p)
	}
	for i := range all {
		all[i].judge()
	}
	slices.SortStableFunc(all, func(a, b domain) int { return cmp.Compare(b.verdict, a.verdict) })
	return all
}

// judge sets the verdict and its reason.
func (d *domain) judge() {
	var failed [defersNow + 1]uint64
	var sts, dane Policy
	for _, p := range d.policies {
		switch p.Type {
		case typeSTS:
			sts = p
		case typeTLSA:
			dane = p
		}
		for _, f := range p.failed {
			e := effectOf(p.Type, f.result)
			failed[e] = sum(failed[e], f.count)
		}
	}
	d.sts = sts.Success > 0
	sessions := func(e effect) string { return layout.Count(failed[e], "session") }
	switch {
	case failed[defers] > 0 && sts.mode == "enforce":
		d.verdict, d.reason = Fault, "mail is deferred: "+sessions(defers)+" failed that may not fail under the policy"
	case failed[defers] > 0:
		d.verdict, d.reason = Fault, "not safe to enforce: "+sessions(defers)+" failed whose mail would be deferred"
	case failed[defersNow] > 0:
		d.verdict, d.reason = Fault, "mail is deferred because of DANE: "+sessions(defersNow)+" failed"
	case failed[unprotected] > 0 && !d.sts:
		d.verdict, d.reason = Fault, "no sender could fetch or use the policy: mail is sent without protection"
	case failed[unprotected] > 0:
		d.verdict, d.reason = Advice, "enforcing defers no mail, but "+layout.Count(failed[unprotected], "attempt")+" to fetch or use the policy failed: that mail is sent without protection"
	case d.sts:
		d.verdict, d.reason = Safe, "safe to enforce: "+layout.Count(sts.Success, "session")+" under the policy, none failed"
	case len(d.policies) == 1 && dane.Success > 0:
		d.verdict, d.reason = Safe, "DANE alone: "+layout.Count(dane.Success, "session")+", none failed"
	default:
		d.verdict, d.reason = Unknown, "not known: no report is about a session under an MTA-STS policy"
	}
}

// Verdict is that of the domain that needs its owner most. It is not Safe if something could
// not be read: there may have been failures in it.
func (s *Summary) Verdict() Verdict {
	v := Unknown
	if slices.ContainsFunc(s.domains, func(d domain) bool { return d.sts }) {
		v = Safe
		if s.NumProblems > 0 || s.leftOut {
			v = Advice
		}
	}
	for _, d := range s.domains {
		v = max(v, d.verdict)
	}
	return v
}
