package clients

import (
	"errors"
	"fmt"
	"slices"

	"mta-sts-daemon/cmd/internal/admin"
	"mta-sts-daemon/cmd/internal/postconf"
	"mta-sts-daemon/config"
	"mta-sts-daemon/socketmap"
)

// Why DANE is not looked up on this host.
var (
	ErrDANEOff = errors.New("dns.dane is off")
	// ErrNoDNSSEC: a dane-only answer would have Postfix defer the mail.
	ErrNoDNSSEC = errors.New("this host's Postfix does not do DANE: smtp_dns_support_level is not dnssec, or ignore_mx_lookup_error is yes")
	// ErrNoneAsks: of several instances of Postfix, none is answered by the daemon.
	ErrNoneAsks = errors.New("no enabled instance of Postfix asks this daemon in smtp_tls_policy_maps")
	// ErrADFromFar: Postfix does DANE here and the daemon cannot, so that its
	// STS answers override DANE. The operator should know.
	ErrADFromFar = errors.New("not every DNS server is on this host, and resolv.conf has no options trust-ad; run a validating resolver here or say dns.dane: always")
)

// DoesDANE says whether DANE is to be looked up if instances are this host's
// Postfix and the daemon listens at the addresses of cfg, and otherwise why not.
func (c Clients) DoesDANE(cfg config.Config, instances postconf.Instances) error {
	asking := Asking(cfg, instances)
	without := slices.DeleteFunc(slices.Clone(asking), postconf.Settings.DoesDANE)
	switch {
	case cfg.DNS.DANE == config.DANEAlways:
		return nil
	case cfg.DNS.DANE == config.DANEOff:
		return ErrDANEOff
	case len(instances) > 1 && len(asking) == 0:
		return ErrNoneAsks
	case len(instances) > 1 && len(without) > 0:
		return fmt.Errorf("%w (instance %v)", ErrNoDNSSEC, without)
	case len(asking) == 0 || len(without) > 0:
		return ErrNoDNSSEC
	case !c.DNS.TrustsAD():
		return ErrADFromFar
	}
	return nil
}

// Asking returns the instances of Postfix that the daemon answers: one alone is
// always one, of several those that are enabled and ask it at an address of cfg.
func Asking(cfg config.Config, instances postconf.Instances) postconf.Instances {
	if len(instances) < 2 {
		return instances
	}
	return slices.DeleteFunc(instances.Enabled(), func(s postconf.Settings) bool {
		return s.MapNames(cfg.Listen.Socketmap, cfg.Listen.TCPTable) == nil
	})
}

// MapNames returns the names by which the instances ask the daemon, each once.
func MapNames(cfg config.Config, instances postconf.Instances) (names []socketmap.MapName) {
	for _, s := range Asking(cfg, instances) {
		for _, name := range s.MapNames(cfg.Listen.Socketmap, cfg.Listen.TCPTable) {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// MapNamesElsewhere returns how a Postfix on another host may ask: for the plain answer, over
// each protocol that the daemon has a listener for.
func MapNamesElsewhere(listen config.Listen) (names []socketmap.MapName) {
	if len(listen.Socketmap) > 0 {
		names = append(names, socketmap.MapName{})
	}
	if len(listen.TCPTable) > 0 {
		names = append(names, socketmap.MapName{TCP: true})
	}
	return names
}

// Listening returns listen with the addresses where the daemon with this status answers
// lookups: the socket unit may have others than the configuration. If the daemon reports
// none, because it does not run for example, the addresses are those of listen and of the
// shipped unit.
func Listening(listen config.Listen, s admin.Status) config.Listen {
	if len(s.Socketmap)+len(s.TCPTable) > 0 {
		listen.Socketmap, listen.TCPTable = s.Socketmap, s.TCPTable
	} else {
		listen.Socketmap = slices.Concat(listen.Socketmap, ShippedSockets())
	}
	return listen
}

// ShippedSockets are the sockets of the socket unit that comes with the daemon. If
// the unit is in use, they replace those of the configuration.
func ShippedSockets() []config.Address {
	return []config.Address{
		{Network: config.TCP, Address: "127.0.0.1:8461"},
		{Network: config.Unix, Address: "/var/spool/postfix/mta-sts/sock"},
	}
}
