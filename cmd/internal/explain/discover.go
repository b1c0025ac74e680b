package explain

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"time"

	"mta-sts-daemon/cmd/internal/lint"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/policyhost"
	"mta-sts-daemon/resolver/printable"
)

// discover goes from the record to the policy.
func (l *look) discover(ctx context.Context) {
	if err := l.discoverPolicy(ctx); err != nil {
		l.report.Problem, l.report.Failure, l.failure = l.plain(err), err, err
		return
	}
	l.report.Verdict = HasPolicy
}

// discoverPolicy returns the reason why the domain has no policy; nil if it has
// one. It sets the verdict if the reason is certain.
func (l *look) discoverPolicy(ctx context.Context) error {
	r, d := l.report, l.hop.Domain
	r.Record = Record{Name: d.RecordName(), TXT: []string{}}
	txt, err := l.DNS.TXT(ctx, d.RecordName())
	if err != nil {
		return err
	}
	r.Record.TXT = append(r.Record.TXT, txt.Records...)
	r.Record.Alias = txt.Alias
	r.Record.TTL = int64(txt.TTL / time.Second)
	r.Record.Findings = lint.Record(txt.Records)
	record, err := mtasts.ParseRecord(txt.Records)
	if err != nil {
		r.Verdict = NoPolicy
		if txt.Dangles() {
			return fmt.Errorf("%w: %s is a CNAME of %s, which has no TXT records", err, d.RecordName(), printable.Quote(txt.Alias))
		}
		return err
	}
	r.Record.ID = record.ID

	text, err := l.fetch(ctx)
	if err != nil {
		return err
	}
	r.Policy = &Policy{Text: text, Findings: lint.Policy(text)}
	policy, err := mtasts.ParsePolicy(text)
	if err != nil {
		r.Verdict = NoPolicy
		return err
	}
	l.policy = &policy
	r.Policy.Valid = true
	r.Policy.Mode = policy.Mode.String()
	r.Policy.MaxAge = int64(policy.MaxAge / time.Second)
	r.Policy.MX = policy.MX
	return nil
}

// fetch gets the policy's text and records the policy host's addresses and reply.
func (l *look) fetch(ctx context.Context) (string, error) {
	host := &PolicyHost{Name: l.hop.Domain.PolicyHost(), Addresses: []Address{}}
	l.report.PolicyHost = host
	// For the reader's eyes: the fetch looks them up for itself.
	addresses, err := l.DNS.Addresses(ctx, host.Name)
	if err != nil {
		host.AddressProblem = err.Error()
	}
	seen, err := l.Policies.Inspect(ctx, l.hop.Domain)
	for _, addr := range addresses.Records {
		a := l.address(addr, seen.Attempts)
		if a.State == AddressUntried && err != nil {
			a.State, a.Problem = AddressFailed, "no answer before the time for the fetch was over"
		}
		host.Addresses = append(host.Addresses, a)
	}
	for _, a := range seen.Attempts {
		if len(a.Chain) > 0 && (host.Certificate == nil || a.Err == nil) {
			host.Certificate = l.certificate(a)
		}
	}
	if r := seen.Response; r != nil {
		host.Response = &Response{r.Status, r.ContentType, r.Location, r.Size}
	}
	return seen.Text, err
}

// address says what became of one of the policy host's addresses.
func (l *look) address(addr netip.Addr, attempts []policyhost.Attempt) Address {
	a := Address{Address: addr.String(), State: AddressUntried}
	if why := l.Policies.WhyNot(addr); why != "" {
		a.State, a.Problem = AddressRefused, why
		return a
	}
	for _, attempt := range attempts {
		switch {
		case attempt.Addr != addr.Unmap():
		case attempt.Err == nil:
			a.State = AddressUsed
		case len(attempt.Chain) > 0:
			a.State, a.Problem = AddressFailed, "its certificate is not valid"
		default:
			a.State, a.Problem = AddressFailed, printed(withoutAddress(attempt.Err.Error(), attempt.Addr))
		}
	}
	return a
}

// withoutAddress takes the address and port off the front of a message.
func withoutAddress(message string, addr netip.Addr) string {
	front, rest, _ := strings.Cut(message, ": ")
	if at, err := netip.ParseAddrPort(front); err == nil && at.Addr() == addr {
		return rest
	}
	return message
}

func (l *look) certificate(a policyhost.Attempt) *Certificate {
	leaf := a.Chain[0]
	c := &Certificate{
		Names:    append([]string{}, leaf.DNSNames...),
		Issuer:   leaf.Issuer.String(),
		NotAfter: leaf.NotAfter.UTC(),
		DaysLeft: int(math.Floor(leaf.NotAfter.Sub(l.now).Hours() / 24)),
	}
	var invalid *tls.CertificateVerificationError
	if errors.As(a.Err, &invalid) {
		c.Problem = CertificateFault(invalid.Err, l.hop.Domain.PolicyHost())
	}
	return c
}

// CertificateFault says in plain words why a certificate is not valid for a host.
func CertificateFault(err error, host string) string {
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		if time.Now().Before(invalid.Cert.NotBefore) {
			return "it is valid only from " + date(invalid.Cert.NotBefore)
		}
		return "it expired on " + date(invalid.Cert.NotAfter)
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "it is not for the name " + host
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "no certificate authority that is known here has issued it, or the host does not send the intermediate certificate"
	}
	return printed(err.Error())
}

// plain returns the message of err; a certificate's fault, in plain words.
func (l *look) plain(err error) string {
	invalid, ok := errors.AsType[*tls.CertificateVerificationError](err)
	if !ok {
		return err.Error()
	}
	host := l.hop.Domain.PolicyHost()
	return fmt.Sprintf("the certificate of %s is not valid: %s", host, CertificateFault(invalid.Err, host))
}
