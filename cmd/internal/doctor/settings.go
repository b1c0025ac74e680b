package doctor

import "strings"

// settings examines parameters that can be judged by themselves.
func (c client) settings() (findings []Finding) {
	findings = append(findings, c.securityLevel())
	findings = append(findings, c.protocols()...)
	if c.get(logLevel) == "0" {
		findings = append(findings, hint(checkLogLevel, c.set(logLevel, "1"),
			"smtp_tls_loglevel = 0: Postfix logs no TLS connections, so that `mta-sts-daemon outcomes` and people cannot see which mail was verified"))
	}
	if strings.EqualFold(c.get(connectionReuse), yes) {
		findings = append(findings, c.reuse())
	}
	if next := c.get(relayhost); next != "" {
		findings = append(findings, hint(checkRelayhost,
			"none is needed if the relay host applies the recipients' policies",
			"relayhost = %s: mail goes to that host, which alone can apply the policies of other domains", next))
	}
	return findings
}

// Values of smtp_tls_security_level.
const (
	levelNone     = "none"
	levelMay      = "may"
	levelEncrypt  = "encrypt"
	levelDANE     = "dane"
	levelDANEOnly = "dane-only"
)

// securityLevel examines the level for domains without a policy. A policy replaces the
// level, whatever it is.
func (c client) securityLevel() Finding {
	remedy := c.set(securityLevel, levelMay) + " (or dane, with smtp_dns_support_level=dnssec)"
	level := strings.ToLower(c.get(securityLevel))
	dnssec := c.dns.DoesDANE()
	switch level {
	case "":
		if strings.EqualFold(c.get(useTLS), yes) || strings.EqualFold(c.get(enforceTLS), yes) {
			return hint(checkSecurityLevel, remedy, "smtp_use_tls and smtp_enforce_tls are obsolete")
		}
		return hint(checkSecurityLevel, remedy, "smtp_tls_security_level is empty: mail to domains without a policy is sent without TLS")
	case levelNone:
		return hint(checkSecurityLevel, remedy, "smtp_tls_security_level = none: mail to domains without a policy is sent without TLS")
	case levelDANE:
		if !dnssec {
			return hint(checkSecurityLevel, c.set(dnsSupportLevel, "dnssec"),
				"smtp_tls_security_level = dane has the effect of may: Postfix does not ask for DNSSEC")
		}
	case levelDANEOnly:
		if !dnssec {
			return problem(checkSecurityLevel, c.set(dnsSupportLevel, "dnssec"),
				"smtp_tls_security_level = dane-only without DNSSEC: mail to every domain without a policy is deferred")
		}
		return strict(level)
	case levelEncrypt, "verify", "secure", "fingerprint":
		return strict(level)
	case levelMay:
	default:
		return problem(checkSecurityLevel, remedy, "smtp_tls_security_level = %s is unknown to Postfix: no mail leaves this host", level)
	}
	return well(checkSecurityLevel, "smtp_tls_security_level = %s for domains without a policy", level)
}

func strict(level string) Finding {
	return hint(checkSecurityLevel, "none is needed if that is meant; the usual level is may or dane",
		"smtp_tls_security_level = %s: mail to domains without a policy is deferred if their servers do not meet that level", level)
}

func (c client) reuse() Finding {
	if _, has := c.service(serviceTLSProxy); has {
		return well(checkReuse, "smtp_tls_connection_reuse = yes, and master.cf has the tlsproxy service")
	}
	return problem(checkReuse, c.set(connectionReuse, "no")+" (or add `tlsproxy unix - - y - 0 tlsproxy` to master.cf)",
		"smtp_tls_connection_reuse = yes, but master.cf has no tlsproxy service: all mail over TLS is deferred")
}
