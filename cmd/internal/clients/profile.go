package clients

import (
	"mta-sts-daemon/config"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/socketmap"
	"mta-sts-daemon/socketmap/tlspolicy"
)

// Profile says in Postfix's terms how cfg wants lookups answered.
func Profile(cfg config.Config) tlspolicy.Profile {
	p := tlspolicy.Profile{
		Monitor:        cfg.Mode == config.ModeMonitor,
		EnforceTesting: cfg.Testing == config.TestingEnforce,
		Reporting:      make(map[string]bool, len(cfg.Maps)),
		Overrides: tlspolicy.Overrides{
			Exact: map[mtasts.Domain]socketmap.Reply{},
			Below: map[mtasts.Domain]socketmap.Reply{},
		},
	}
	for name, m := range cfg.Maps {
		p.Reporting[name] = m.TLSRPT
	}
	for key, override := range cfg.Overrides {
		reply := socketmap.Reply{Status: socketmap.OK, Data: []byte(override.Policy)}
		if override.NotFound {
			reply.Status = socketmap.NotFound
		}
		if key.Subdomains {
			p.Overrides.Below[key.Domain] = reply
		} else {
			p.Overrides.Exact[key.Domain] = reply
		}
	}
	return p
}
