package doctor

import (
	"context"
	"errors"
	"log/slog"

	"mta-sts-daemon/cmd/internal/clients"
	"mta-sts-daemon/config"
)

// dns looks at the resolver that the daemon asks, and at whether DANE goes
// before policies here. p is zero where there is no Postfix.
func (h Host) dns(ctx context.Context, p postfix) []Finding {
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
	return []Finding{answers, h.dane(c, p, validates)}
}

// dane says what goes first, DANE or policies.
func (h Host) dane(c clients.Clients, p postfix, validates bool) Finding {
	const validating = "have a validating resolver, unbound say, on this host, and give it to Postfix and the daemon alike"
	why := c.DoesDANE(h.Config.DNS.DANE, p.dns)
	does := p.dns.DoesDANE()
	switch {
	case h.Config.DNS.DANE == config.DANEAuto && p.main == nil:
		return well(checkDANE, "DANE is not looked up here: whether this host's Postfix does it is not known")
	case h.Config.DNS.DANE == config.DANEAlways && p.main != nil && !does:
		return problem(checkDANE, "dns: {dane: auto}, or postconf -e smtp_dns_support_level=dnssec; postfix reload",
			"dns.dane is always, but this host's Postfix does not do DANE: it defers mail to every domain that has it")
	case errors.Is(why, clients.ErrADFromFar):
		return hint(checkDANE, validating, "Postfix does DANE, but policies override it here: %v", why)
	case errors.Is(why, clients.ErrDANEOff) && does:
		return hint(checkDANE, "dns: {dane: auto}", "Postfix does DANE, but policies override it here: %v", why)
	case why == nil && !validates:
		return hint(checkDANE, validating, "DANE goes before policies here, but no domain has it: the resolver does not validate DNSSEC")
	case why == nil:
		return well(checkDANE, "DANE goes before policies here")
	}
	return well(checkDANE, "DANE is not looked up here: %v", why)
}
