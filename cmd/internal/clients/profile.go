package clients

import (
	"mta-sts-daemon/config"
	"mta-sts-daemon/resolver"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/socketmap"
	"mta-sts-daemon/socketmap/tlspolicy"
)

// Profile says in Postfix's terms how cfg wants lookups answered.
func Profile(cfg config.Config) tlspolicy.Profile {
	p := tlspolicy.Profile{
		Monitor:        cfg.Mode == config.ModeMonitor,
		EnforceTesting: cfg.Testing == config.TestingEnforce,
		Maps:           make(map[string]tlspolicy.Map, len(cfg.Maps)),
		Overrides: tlspolicy.Overrides{
			Hops:  map[resolver.NextHop]tlspolicy.Override{},
			Exact: map[mtasts.Domain]tlspolicy.Override{},
			Below: map[mtasts.Domain]tlspolicy.Override{},
		},
	}
	for name, m := range cfg.Maps {
		p.Maps[name] = tlspolicy.Map{Reports: m.TLSRPT, MaxAnswer: m.MaxAnswer}
	}
	for key, override := range cfg.Overrides {
		given := tlspolicy.Override{Until: override.Until}
		given.Reply = socketmap.Reply{Status: socketmap.OK, Data: []byte(override.Policy)}
		if override.NotFound {
			given.Reply.Status = socketmap.NotFound
		}
		switch {
		case key.Port != 0:
			p.Overrides.Hops[resolver.NextHop{Domain: key.Domain, MX: !key.Host, Port: key.Port}] = given
		case key.Subdomains:
			p.Overrides.Below[key.Domain] = given
		default:
			p.Overrides.Exact[key.Domain] = given
		}
	}
	return p
}
