package doctor

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"mta-sts-daemon/cmd/internal/clients"
	"mta-sts-daemon/cmd/internal/postconf"
	"mta-sts-daemon/config"
)

// dns looks at the resolver that the daemon asks, and at whether DANE takes
// precedence over policies here. There are no instances if Postfix could not be
// asked.
func (h Host) dns(ctx context.Context, instances postconf.Instances) []Finding {
	cfg := h.Config
	cfg.Fetch.CAFile = "" // no policy is fetched here
	c, err := clients.New(cfg, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		return []Finding{problem(checkConfiguration, remedyOfConfiguration, "The daemon does not start: %v", err)}
	}
	validates, err := c.DNS.Validates(ctx)
	if err != nil {
		return []Finding{problem(checkResolver, "mend the resolver in /etc/resolv.conf, or name others in dns.servers",
			"The resolver does not answer, so no policy can be found or renewed: %v", err)}
	}
	answers := well(checkResolver, "The resolver answers; it does not validate DNSSEC")
	if validates {
		answers = well(checkResolver, "The resolver answers and validates DNSSEC")
	}
	return []Finding{answers, h.dane(c, instances, validates)}
}

// dane says which takes precedence, DANE or policies.
func (h Host) dane(c clients.Clients, instances postconf.Instances, validates bool) Finding {
	const (
		validating = "have a validating resolver, unbound say, on this host, and give it to Postfix and the daemon alike"
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
		return problem(checkDANE, "dns: {dane: auto}, or "+dnssec,
			"dns.dane is always, but this host's Postfix does not do DANE: it defers mail to every domain that has it")
	case errors.Is(why, clients.ErrADFromFar):
		return hint(checkDANE, validating, "Postfix does DANE, but policies override it here: %v", why)
	case errors.Is(why, clients.ErrDANEOff) && does:
		return hint(checkDANE, "dns: {dane: auto}", "Postfix does DANE, but policies override it here: %v", why)
	case errors.Is(why, clients.ErrNoDNSSEC) && does:
		return hint(checkDANE, dnssec+", for each instance that asks the daemon (-c DIRECTORY)",
			"One instance of Postfix does DANE, but policies override it here, because another does not: %v", why)
	case why == nil && !validates:
		return hint(checkDANE, validating, "DANE goes before policies here, but no domain has it: the resolver does not validate DNSSEC")
	case why == nil && len(instances) > 1:
		return well(checkDANE, "DANE goes before policies here, as in the instances of Postfix that ask: %v", asking)
	case why == nil:
		return well(checkDANE, "DANE goes before policies here")
	}
	return well(checkDANE, "DANE is not looked up here: %v", why)
}
