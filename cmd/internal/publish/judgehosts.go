package publish

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"mta-sts-daemon/cmd/internal/explain"
	"mta-sts-daemon/cmd/internal/lint"
	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/dnsclient"
)

// judgeHosts judges what mail servers do, address by address.
func (l *look) judgeHosts(port port25) {
	reached, silent := 0, 0
	for _, h := range l.hosts {
		for _, s := range h.sessions {
			switch {
			case s.stage > notConnected:
				reached++
			case !unroutable(s.err):
				silent++
			}
		}
		for _, addr := range slices.SortedFunc(maps.Keys(h.refused), netip.Addr.Compare) {
			l.report.add(Finding{Severity: Fault, Effect: StopsMail, Check: "mx-address-private", Host: line(h.Name), Addresses: []string{addr.String()}, RFC: "RFC 5321 section 5.1",
				Text: "senders cannot reach that address: " + h.refused[addr], Remedy: "Give it a public address; if this host sees other addresses than the Internet, list them in fetch.allow_networks"})
		}
	}
	if silent > 0 && reached == 0 && port != portOpen {
		l.report.add(noPort25(port, l.Reference))
		return
	}
	for _, h := range l.hosts {
		for _, addr := range slices.SortedFunc(maps.Keys(h.sessions), netip.Addr.Compare) {
			for _, f := range l.sessionFindings(h, addr, reached > 0) {
				f.Host, f.Addresses = line(h.Name), []string{addr.String()}
				l.report.add(f)
			}
		}
		l.judgeTLSA(h)
	}
}

// noPort25 is the finding if no mail server at all can be reached.
func noPort25(port port25, reference string) Finding {
	f := Finding{Severity: Unjudged, Check: "port-25", RFC: "RFC 5321 section 4.5.4.2",
		Text:   "no MX host accepts a connection: they are unreachable, or port 25 is blocked here as many providers do",
		Remedy: "Check from a host that may send mail, or name one with --reference that is known to answer"}
	if port == portBlocked {
		f.Text = "port 25 is blocked here: " + line(reference) + " does not answer either"
		f.Remedy = "Check from a host that may send mail"
	}
	return f
}

// sessionFindings judges one address of a host. others: another mail server was reached.
func (l *look) sessionFindings(h mailHost, addr netip.Addr, others bool) []Finding {
	s := h.sessions[addr]
	f := Finding{Severity: l.ofHosts(), Effect: l.ifEnforced(), RFC: "RFC 8461 section 4.2"}
	switch s.stage {
	case notConnected:
		if unroutable(s.err) {
			return []Finding{noRoute(h.Name, addr, others)}
		}
		f.Severity, f.Check, f.Text, f.RFC = Fault, "mx-connect", fmt.Sprintf("it does not accept connections on port 25: %v", s.err), "RFC 5321 section 5.1"
		f.Effect = StopsMail
		f.Remedy = "Start the mail server there and open port 25, or remove the address"
	case connected, greeted:
		f.Severity, f.Effect, f.Check, f.Text, f.RFC = Unjudged, Other, "mx-refuses", fmt.Sprintf("it does not talk to this host: %v", s.err), "RFC 5321 section 3.1"
		if _, ok := errors.AsType[refusal](s.err); !ok {
			f.Severity, f.Effect, f.Check, f.Text = Fault, StopsMail, "mx-greeting", fmt.Sprintf("it does not speak SMTP: %v", s.err)
		}
		f.Remedy = "Look into the log of that server"
	case offered:
		f.Check, f.Text, f.Remedy = "mx-no-starttls", "it does not offer STARTTLS", "Enable TLS in the mail server (Postfix: smtpd_tls_security_level = may, with smtpd_tls_chain_files)"
	case asked:
		f.Check, f.Text, f.Remedy = "mx-starttls-refused", fmt.Sprintf("it offers STARTTLS and refuses it: %v", s.err), "Look into the log of that server; most often key and certificate cannot be read"
	case started:
		f.Check, f.Text, f.Remedy = "mx-handshake", fmt.Sprintf("the TLS handshake fails: %v", s.err), "Give the server a certificate, TLS 1.2 or newer and current ciphers"
	case secured:
		return l.certificateFindings(h, s.state)
	}
	return []Finding{f}
}

// ofHosts is the severity of a mail server's fault: without a policy it harms nobody.
func (l *look) ofHosts() Severity {
	if l.applies() {
		return Fault
	}
	return Advice
}

// certificateFindings judges a TLS connection by RFC 8461 section 4.2.
func (l *look) certificateFindings(h mailHost, state tls.ConnectionState) (found []Finding) {
	add := func(f Finding) {
		if f.Severity == "" {
			f.Severity, f.Effect = l.ofHosts(), l.ifEnforced()
		}
		f.RFC = "RFC 8461 section 4.2"
		found = append(found, f)
	}
	if state.Version < tls.VersionTLS12 {
		add(Finding{Check: "mx-tls-version", Text: "it speaks nothing newer than " + tls.VersionName(state.Version), Remedy: "Enable TLS 1.2 or newer (RFC 8461 section 7.2)"})
	}
	if l.protectedByDANE() && !l.applies() {
		return found // DANE needs no authority (RFC 7672 section 3.1)
	}
	leaf := state.PeerCertificates[0]
	names := "no DNS name"
	if len(leaf.DNSNames) > 0 {
		names = some(leaf.DNSNames)
	}
	chain := l.chainFault(state.PeerCertificates)
	left := leaf.NotAfter.Sub(l.now)
	switch {
	case l.now.After(leaf.NotAfter):
		add(Finding{Check: "mx-certificate-expired", Text: "its certificate expired on " + date(leaf.NotAfter), Remedy: "Renew it, and reload the mail server"})
	case l.now.Before(leaf.NotBefore):
		add(Finding{Check: "mx-certificate-early", Text: "its certificate is valid only from " + date(leaf.NotBefore), Remedy: "Look at the clock of the machine that made it"})
	case endsSoon(leaf, l.now) && chain == "":
		add(Finding{Severity: Advice, Effect: Other, Check: "mx-certificate-ends", Text: fmt.Sprintf("its certificate ends on %s, in %s", date(leaf.NotAfter), days(left)), Remedy: "Renew it, and reload the mail server"})
	}
	if chain != "" {
		add(Finding{Check: "mx-certificate-chain", Text: chain, Remedy: "Install a certificate of a public authority, followed by its intermediate certificates (Postfix: smtpd_tls_chain_files)"})
	}
	if leaf.VerifyHostname(h.Name) != nil {
		text := "its certificate is for " + names + ", not for the name of the MX host"
		if l.applies() && slices.ContainsFunc(leaf.DNSNames, func(name string) bool { return lint.MatchedBy(l.policy.MX, name) != "" }) {
			text += "; Postfix accepts that, because the policy has such a name, and other senders do not"
		}
		add(Finding{Check: "mx-certificate-name", Text: text, Remedy: "Install a certificate for " + line(h.Name)})
	}
	return found
}

// chainFault says why no authority vouches for a certificate; "" if one does. Dates and
// names are judged apart.
func (l *look) chainFault(chain []*x509.Certificate) string {
	leaf := chain[0]
	at := l.now
	switch {
	case l.noAuthorities():
		l.report.add(noAuthorities())
		return ""
	case at.After(leaf.NotAfter):
		at = leaf.NotAfter
	case at.Before(leaf.NotBefore):
		at = leaf.NotBefore
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: l.roots, Intermediates: pool(chain[1:]), CurrentTime: at})
	if err == nil {
		return ""
	}
	if _, unknown := errors.AsType[x509.UnknownAuthorityError](err); !unknown {
		return "its chain of certificates is not valid: " + line(err.Error())
	}
	switch {
	case bytes.Equal(leaf.RawIssuer, leaf.RawSubject) && leaf.CheckSignature(leaf.SignatureAlgorithm, leaf.RawTBSCertificate, leaf.Signature) == nil:
		return "its certificate is self-signed"
	case len(chain) == 1:
		return "it sends no intermediate certificate, or no known authority has issued its certificate (issuer " + line(leaf.Issuer.String()) + ")"
	}
	return "no known authority has issued its certificate (issuer " + line(leaf.Issuer.String()) + ")"
}

// noAuthorities reports whether this host can verify no certificate.
func (l *look) noAuthorities() bool { return l.roots != nil && l.roots.Equal(x509.NewCertPool()) }

func noAuthorities() Finding {
	return Finding{Severity: Unjudged, Check: "authorities", Text: "no certificate can be verified: this host has no certificate authorities", Remedy: "Install the package ca-certificates", RFC: "RFC 8461 section 4.2"}
}

func pool(certs []*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certs {
		p.AddCert(c)
	}
	return p
}

func (l *look) protectedByDANE() bool {
	return l.seen.DANE.Verdict == dane.Full.String() || l.seen.DANE.Verdict == dane.Partial.String()
}

// judgeTLSA holds a host's TLSA records against the certificates that it presents.
func (l *look) judgeTLSA(h mailHost) {
	if len(h.tlsa.Records) == 0 {
		return
	}
	f := Finding{Host: line(h.Name), Severity: Advice, RFC: "RFC 7672 section 2.2"}
	usable := slices.DeleteFunc(slices.Clone(h.tlsa.Records), func(r dnsclient.TLSA) bool { return !dane.Usable(r) })
	switch {
	case h.tlsa.Unvouched || l.seen.DANE.Verdict == "" && !h.tlsa.Authenticated:
		// Whether the zone is signed is not known here. A mismatch is a fault in either case.
		l.report.add(Finding{Severity: Note, Check: "dane-unknown", Text: "whether DANE applies is not known: the resolver's word on DNSSEC does not count here", Remedy: "Run a validating resolver on this host (docs/dane.md)", RFC: "RFC 7672 section 2.2"})
	case h.DANE == explain.HostNoTLSA || !l.seen.MX.Authenticated:
		f.Check, f.Text, f.Remedy = "tlsa-unsigned", "it has TLSA records without DNSSEC, which have no effect", "Sign the zones of the domain and of the MX host, or remove the records"
		l.report.add(f)
		return
	}
	if len(usable) == 0 {
		f.Check, f.Text, f.Remedy, f.RFC = "tlsa-unusable", "none of its TLSA records can be used for mail", "Publish TLSA 3 1 1", "RFC 7672 section 3.1"
		l.report.add(f)
		return
	}
	for _, addr := range slices.SortedFunc(maps.Keys(h.sessions), netip.Addr.Compare) {
		s := h.sessions[addr]
		if s.stage != secured || l.matches(h, usable, s.state.PeerCertificates) {
			continue
		}
		f.Severity, f.Effect, f.Check, f.Addresses = Fault, StopsMail, "tlsa-mismatch", []string{addr.String()}
		f.Text = fmt.Sprintf("its certificate matches none of its TLSA records (%s)", line(usable[0].String()))
		f.Remedy = fmt.Sprintf("Publish TLSA %v, or install the certificate that the records are for", keyRecord(s.state.PeerCertificates[0]))
		f.RFC = "RFC 7672 section 3"
		l.report.add(f)
	}
}

// The usages of TLSA records (RFC 7218).
const (
	usageDANETA = 2
	usageDANEEE = 3
)

// keyRecord is the record that RFC 7672 section 3.1.1 advises for a certificate.
func keyRecord(cert *x509.Certificate) dnsclient.TLSA {
	digest := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return dnsclient.TLSA{Usage: usageDANEEE, Selector: 1, MatchingType: 1, Data: digest[:]}
}

// matches reports whether a mail server's certificates satisfy one of the records (RFC
// 7672 section 3.1): DANE-EE is for its own certificate, DANE-TA for an issuer, and then
// name and dates count too.
func (l *look) matches(h mailHost, records []dnsclient.TLSA, chain []*x509.Certificate) bool {
	for _, r := range records {
		if r.Usage == usageDANEEE && r.Matches(chain[0]) {
			return true
		}
		if r.Usage != usageDANETA {
			continue
		}
		anchors := chain[1:]
		if full, err := x509.ParseCertificate(r.Data); err == nil {
			anchors = append(slices.Clip(anchors), full)
		}
		for _, anchor := range anchors {
			if r.Matches(anchor) && issued(chain, anchor, h.Name, l.domain.String(), l.now) {
				return true
			}
		}
	}
	return false
}

// issued reports whether anchor vouches for the certificate and that for one of the
// names (RFC 7672 section 3.2.2).
func issued(chain []*x509.Certificate, anchor *x509.Certificate, host, domain string, now time.Time) bool {
	_, err := chain[0].Verify(x509.VerifyOptions{Roots: pool([]*x509.Certificate{anchor}), Intermediates: pool(chain[1:]), CurrentTime: now})
	return err == nil && (chain[0].VerifyHostname(host) == nil || chain[0].VerifyHostname(domain) == nil)
}

// judgeDANE judges DANE of the domain as a whole.
func (l *look) judgeDANE() {
	if l.seen.DANE.Verdict != dane.Partial.String() {
		return
	}
	var without []string
	for _, h := range l.hosts {
		if len(h.tlsa.Records) == 0 && len(h.Addresses) > 0 {
			without = append(without, h.Name)
		}
	}
	if len(without) > 0 {
		l.report.add(Finding{Severity: Advice, Check: "dane-partial", RFC: "RFC 7672 section 2.2",
			Text: "some MX hosts have TLSA records, and not " + some(without) + ": an attacker sends mail there", Remedy: "Publish TLSA records for every MX host"})
	}
}
