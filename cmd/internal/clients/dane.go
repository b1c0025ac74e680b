package clients

import (
	"errors"

	"mta-sts-daemon/cmd/internal/postconf"
	"mta-sts-daemon/config"
)

// Why DANE is not looked up on this host.
var (
	ErrDANEOff = errors.New("dns.dane is off")
	// ErrNoDNSSEC: a dane-only answer would have Postfix defer the mail.
	ErrNoDNSSEC = errors.New("this host's Postfix does not do DANE: smtp_dns_support_level is not dnssec, or ignore_mx_lookup_error is yes")
	// ErrADFromFar: Postfix does DANE here and the daemon cannot, so that its
	// STS answers override DANE. The operator should know.
	ErrADFromFar = errors.New("not every DNS server is on this host, and resolv.conf has no options trust-ad; run a validating resolver here or say dns.dane: always")
)

// DoesDANE says whether DANE is to be looked up where postfix is this host's
// Postfix, and otherwise why not.
func (c Clients) DoesDANE(mode config.DANE, postfix postconf.Settings) error {
	switch {
	case mode == config.DANEAlways:
		return nil
	case mode == config.DANEOff:
		return ErrDANEOff
	case !postfix.DoesDANE():
		return ErrNoDNSSEC
	case !c.DNS.TrustsAD():
		return ErrADFromFar
	}
	return nil
}
