package publish

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"mta-sts-daemon/cmd/internal/layout"
	"mta-sts-daemon/cmd/internal/lint"
	"mta-sts-daemon/resolver/authorities"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/policyhost"
)

const policyPath = "/.well-known/mta-sts.txt"

// judgeFetches judges the policy host, address by address, and sets the policy.
func (l *look) judgeFetches() {
	host := l.domain.PolicyHost()
	announced := l.seen.Record.ID != ""
	if len(l.policyHost.fetches) == 0 {
		if announced && l.policyHost.err == nil {
			text := "it has no address"
			if l.policyHost.alias != "" {
				text = "it is an alias of " + line(l.policyHost.alias) + ", which has no address"
			}
			l.report.add(Finding{Severity: Fault, Effect: Unprotected, Check: "policy-host-address", Host: host, Text: text, Remedy: "Give it A or AAAA records", RFC: "RFC 8461 section 3.3"})
		}
		return
	}
	var texts []fetch            // the first of each text
	var ending *x509.Certificate // the one that ends first
	for _, f := range l.policyHost.fetches {
		if f.err != nil {
			continue
		}
		same := false
		for i := range texts {
			same = same || texts[i].Text == f.Text
		}
		if !same {
			texts = append(texts, f)
		}
		for _, a := range f.Attempts {
			if len(a.Chain) > 0 && (ending == nil || a.Chain[0].NotAfter.Before(ending.NotAfter)) {
				ending = a.Chain[0]
			}
		}
	}
	if announced {
		for _, f := range l.policyHost.fetches {
			if f.err != nil {
				l.report.add(l.fetchFinding(f, len(texts) > 0))
			}
		}
	}
	if len(texts) == 0 {
		return
	}
	if len(texts) > 1 {
		l.report.add(Finding{Severity: Fault, Check: "policy-differs", Host: host, RFC: "RFC 8461 section 3.2",
			Text:   fmt.Sprintf("it serves one policy at %v and another at %v", texts[0].addr, texts[1].addr),
			Remedy: "Serve the same text at all addresses"})
	}
	if ending != nil && endsSoon(ending, l.now) {
		l.report.add(Finding{Severity: Advice, Check: "policy-host-certificate-ends", Host: host, RFC: "RFC 8461 section 3.3",
			Text:   fmt.Sprintf("its certificate ends on %s, in %s", date(ending.NotAfter), days(ending.NotAfter.Sub(l.now))),
			Remedy: "Renew it; after that the policy cannot be fetched"})
	}
	l.parse(texts[0].Text, announced)
}

// parse sets the policy, or reports why the text is invalid.
func (l *look) parse(text string, announced bool) {
	policy, err := mtasts.ParsePolicy(text)
	if err == nil {
		l.policy = &policy
		return
	}
	if !announced {
		return
	}
	f := Finding{Severity: Fault, Effect: Unprotected, Check: "policy-invalid", Text: line(err.Error()), Remedy: "Correct the policy, and publish a new id", RFC: "RFC 8461 section 3.2"}
	for _, hint := range lint.Text(text) {
		if hint.Severity == lint.Warning {
			f.Text += "; " + line(hint.String())
			break
		}
	}
	l.report.add(f)
}

// fetchFinding says why the policy could not be fetched from one address. others: it
// could from another one.
func (l *look) fetchFinding(f fetch, others bool) Finding {
	host := l.domain.PolicyHost()
	out := Finding{Severity: Fault, Effect: Unprotected, Check: "policy-fetch", Host: host, Addresses: []string{f.addr.String()}, RFC: "RFC 8461 section 3.3"}
	if others {
		out.Effect = Other
	}
	failed, _ := errors.AsType[*policyhost.FetchError](f.err)
	invalid, badCertificate := errors.AsType[*tls.CertificateVerificationError](f.err)
	switch {
	case errors.Is(f.err, authorities.ErrNone):
		out = noAuthorities()
	case l.Policies.WhyNot(f.addr) != "":
		out.Text = "senders do not connect to that address: " + l.Policies.WhyNot(f.addr)
		out.Remedy = "Give it a public address"
	case unroutable(f.err):
		out = noRoute(host, f.addr, others)
	case failed != nil && failed.Fault != policyhost.FaultPublisher:
		out.Severity, out.Text, out.Remedy = Unjudged, "it cannot be reached from here: "+reason(f), "Try from another host"
	case badCertificate:
		out.Check, out.Text = "policy-host-certificate", "its certificate is not valid: "+certificateFault(invalid.Err, host)
		out.Remedy = "Install a certificate of a public authority for " + host + ", with its intermediate certificates"
	case f.Response == nil:
		out.Text, out.Remedy = reason(f), "Serve HTTPS with TLS 1.2 or newer on port 443 of every address"
	default:
		l.responseFinding(&out, f)
	}
	return out
}

// responseFinding describes a response that senders refuse.
func (l *look) responseFinding(out *Finding, f fetch) {
	r, host := f.Response, l.domain.PolicyHost()
	address := "https://" + host + policyPath
	html := strings.HasPrefix(strings.ToLower(r.ContentType), "text/html")
	switch {
	case r.Status/100 == 3:
		out.Check, out.Text = "policy-redirect", fmt.Sprintf("it redirects to %s (status %d), and senders follow no redirect", target(r.Location), r.Status)
		out.Remedy = "Serve the policy at " + address + " itself"
	case isMissing(r.Status):
		out.Check, out.Text = "policy-path", fmt.Sprintf("there is no policy at %s (status %d)", policyPath, r.Status)
		if f.misplaced != "" {
			out.Text += "; one is at " + f.misplaced
		}
		out.Remedy = "Serve it at " + address
	case html && isDenial(r.Status):
		out.Check, out.Text = "policy-bot-wall", fmt.Sprintf("it answers with status %d and a web page: a bot wall, login or firewall keeps senders out", r.Status)
		out.Remedy = "Exempt " + policyPath + " on that host"
	case r.Status != http.StatusOK:
		out.Check, out.Text, out.Remedy = "policy-status", fmt.Sprintf("it answers with status %d", r.Status), "Serve the policy with status 200"
	case !strings.HasPrefix(strings.ToLower(r.ContentType), "text/plain"):
		out.Check, out.Text, out.Remedy = "policy-media-type", "the policy has no Content-Type", "Serve it as text/plain"
		if r.ContentType != "" {
			out.Text = "the policy is served as " + line(r.ContentType)
		}
		out.RFC = "RFC 8461 section 3.2"
	default:
		out.Text, out.Remedy = reason(f), "Serve the policy with its Content-Length and without Content-Encoding, in at most 64 KiB"
	}
}

func isMissing(status int) bool { return status == http.StatusNotFound || status == http.StatusGone }

func isDenial(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable
}

// target is the destination of a redirect without its query, which may be long.
func target(location string) string {
	if u, err := url.Parse(location); err == nil && u.Host != "" {
		return line(u.Scheme + "://" + u.Host + u.Path)
	}
	return line(location)
}

// reason is why a fetch failed, without the names that the finding has already.
func reason(f fetch) string {
	failed, ok := errors.AsType[*policyhost.FetchError](f.err)
	if !ok {
		return line(f.err.Error())
	}
	text := failed.Err.Error()
	if front, rest, ok := strings.Cut(text, ": "); ok {
		if at, err := netip.ParseAddrPort(front); err == nil && at.Addr() == f.addr {
			text = rest
		}
	}
	return line(text)
}

// noRoute is the finding if this host has no route to an address. others: there are
// addresses that could be looked at.
func noRoute(host string, addr netip.Addr, others bool) Finding {
	family := "IPv4"
	if addr.Is6() {
		family = "IPv6"
	}
	f := Finding{Severity: Unjudged, Check: "no-route", Host: host, Addresses: []string{addr.String()}, RFC: "RFC 5321 section 5.2",
		Text: "not looked at: this host has no route for " + family, Remedy: "Check again from a host that has one"}
	if others {
		f.Severity = Note
	}
	return f
}

// days writes a time span for a person.
func days(d time.Duration) string {
	if d < 0 {
		return "the past"
	}
	return layout.Count(int(d/day), "day")
}

// ruaFault is a destination of reports to which none can be sent.
type ruaFault struct{ uri, reason string }

// maxRUA limits how many destinations are looked up.
const maxRUA = 4

// askReportDestinations looks up whether the destinations of reports exist. Destinations outside of the domain are as good as others.
func (l *look) askReportDestinations(ctx context.Context) {
	rua := l.seen.TLSRPT.RUA
	for _, uri := range rua[:min(len(rua), maxRUA)] {
		if reason := l.unreachable(ctx, uri); reason != "" {
			l.rua = append(l.rua, ruaFault{uri, reason})
		}
	}
}

// unreachable returns why nothing can be sent to a URI of a TLSRPT record; "" if it can,
// or if that is not known.
func (l *look) unreachable(ctx context.Context, uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return ""
	}
	if u.Scheme == "https" {
		if answer, err := l.DNS.Addresses(ctx, u.Hostname()); err == nil && len(answer.Records) == 0 {
			return line(u.Hostname()) + " has no address"
		}
		return ""
	}
	address, _, _ := strings.Cut(u.Opaque, "?")
	domain := address[strings.LastIndexByte(address, '@')+1:]
	mx, err := l.DNS.MX(ctx, domain)
	switch {
	case err != nil:
		return ""
	case mx.NoName:
		return line(domain) + " does not exist"
	case len(mx.Records) == 1 && mx.Records[0].Host == "":
		return line(domain) + " accepts no mail"
	case len(mx.Records) > 0:
		return ""
	}
	if answer, err := l.DNS.Addresses(ctx, domain); err == nil && len(answer.Records) == 0 {
		return line(domain) + " has neither MX records nor an address"
	}
	return ""
}
