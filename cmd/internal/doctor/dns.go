package doctor

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"mta-sts-daemon/cmd/internal/admin"
	"mta-sts-daemon/cmd/internal/clients"
	"mta-sts-daemon/cmd/internal/postconf"
	"mta-sts-daemon/config"
	"mta-sts-daemon/resolver/dnsclient"
)

// dns examines the resolver that the daemon asks, and whether DANE takes
// precedence over policies. instances is empty if Postfix could not be asked, s if the daemon
// could not.
func (h Host) dns(ctx context.Context, instances postconf.Instances, s admin.Status) []Finding {
	c := clients.Clients{DNS: clients.NewDNS(h.Config, nil, slog.New(slog.DiscardHandler))} // no policy is fetched here
	validates, err := c.DNS.Validates(ctx)
	if err != nil {
		return []Finding{problem(checkResolver, "repair the resolver in /etc/resolv.conf, or name others in dns.servers",
			"The resolver does not answer, so that no policy can be found or refreshed: %v", err)}
	}
	answers := well(checkResolver, "The resolver answers; it does not validate DNSSEC")
	if validates {
		answers = well(checkResolver, "The resolver answers and validates DNSSEC")
	}
	findings := []Finding{answers, h.dane(ctx, c, instances, validates)}
	if s.DNSError != "" {
		findings = append(findings, problem(checkResolver, "look for a firewall rule for the daemon's user, and for IPAddressDeny= in `systemctl cat mta-sts-daemon`",
			"The resolver answers here, but not the daemon: %s. No policy can be found or refreshed", s.DNSError))
	}
	return findings
}

// dane examines which takes precedence, DANE or policies, and whether DANE works.
func (h Host) dane(ctx context.Context, c clients.Clients, instances postconf.Instances, validates bool) Finding {
	const (
		validating = "run a validating resolver, for example unbound, on this host, and have Postfix (/etc/resolv.conf) and the daemon use it"
		dnssec     = "postconf -e smtp_dns_support_level=dnssec; postfix reload"
	)
	why := c.DoesDANE(h.Config, instances)
	asking := clients.Asking(h.Config, instances)
	does := slices.ContainsFunc(asking, postconf.Settings.DoesDANE)
	doesNot := slices.ContainsFunc(asking, func(s postconf.Settings) bool { return !s.DoesDANE() })
	switch {
	case h.Config.DNS.DANE == config.DANEAuto && len(instances) == 0:
		return well(checkDANE, "DANE is not looked up here: whether this host's Postfix does it is not known")
	case h.Config.DNS.DANE == config.DANEAlways && doesNot:
		return problem(checkDANE, dnssec+" (or dns: {dane: auto})",
			"dns.dane is always, but this host's Postfix does not do DANE: it defers mail to every domain that has it")
	case does && !h.postfixValidates(ctx):
		return problem(checkDANE, validating+" (or postconf -e smtp_dns_support_level=enabled smtp_tls_security_level=may; postfix reload)",
			"Postfix does DANE, but its resolver does not validate DNSSEC: mail to domains with DANE is sent without that protection, or deferred")
	case errors.Is(why, clients.ErrADFromFar):
		return hint(checkDANE, validating, "Postfix does DANE, but policies override it here: %v", why)
	case errors.Is(why, clients.ErrDANEOff) && does:
		return hint(checkDANE, "dns: {dane: auto}", "Postfix does DANE, but policies override it here: %v", why)
	case errors.Is(why, clients.ErrNoDNSSEC) && does:
		return hint(checkDANE, dnssec+", for each instance that asks the daemon (-c DIRECTORY)",
			"One instance of Postfix does DANE, but policies override it here, because another does not: %v", why)
	case why == nil && !validates:
		return hint(checkDANE, validating, "DANE takes precedence over policies here, but the daemon finds it for no domain: its resolver does not validate DNSSEC")
	case why == nil && len(instances) > 1:
		return well(checkDANE, "DANE takes precedence over policies here, as in the instances of Postfix that ask: %v", asking)
	case why == nil:
		return well(checkDANE, "DANE takes precedence over policies here")
	}
	return well(checkDANE, "DANE is not looked up here: %v", why)
}

// postfixValidates reports whether Postfix's own resolver validates; true if it does not
// answer.
func (h Host) postfixValidates(ctx context.Context) bool {
	validates, err := dnsclient.New(h.PostfixDNS).Validates(ctx)
	return validates || err != nil
}
