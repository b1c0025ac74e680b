package doctor

import "strings"

// settings looks at what needs no more than a glance.
func (c client) settings() (findings []Finding) {
	findings = append(findings, c.securityLevel())
	if strings.EqualFold(c.get(connectionReuse), yes) {
		findings = append(findings, c.reuse())
	}
	if next := c.get(relayhost); next != "" {
		findings = append(findings, hint(checkRelayhost,
			"none is needed if the relay host applies the recipients' policies",
			"relayhost = %s: all other domains' policies are the business of that host", next))
	}
	return findings
}

// Values of smtp_tls_security_level.
const (
	levelNone     = "none"
	levelMay      = "may"
	levelDANE     = "dane"
	levelDANEOnly = "dane-only"
)

// securityLevel says what becomes of mail to domains without a policy. A policy
// replaces the level, whatever it is.
func (c client) securityLevel() Finding {
	const remedy = "postconf -e smtp_tls_security_level=may (or dane, with smtp_dns_support_level=dnssec); postfix reload"
	level := strings.ToLower(c.get(securityLevel))
	dnssec := c.dns.DoesDANE()
	switch level {
	case "":
		if strings.EqualFold(c.get(useTLS), yes) || strings.EqualFold(c.get(enforceTLS), yes) {
			return hint(checkSecurityLevel, remedy, "smtp_use_tls and smtp_enforce_tls are obsolete")
		}
		return hint(checkSecurityLevel, remedy, "smtp_tls_security_level is empty: domains without a policy get their mail in the clear")
	case levelNone:
		return hint(checkSecurityLevel, remedy, "smtp_tls_security_level = none: domains without a policy get their mail in the clear")
	case levelDANE:
		if !dnssec {
			return hint(checkSecurityLevel, "postconf -e smtp_dns_support_level=dnssec; postfix reload",
				"smtp_tls_security_level = dane does what may does: Postfix does not ask for DNSSEC")
		}
	case levelDANEOnly:
		if !dnssec {
			return problem(checkSecurityLevel, "postconf -e smtp_dns_support_level=dnssec; postfix reload",
				"smtp_tls_security_level = dane-only without DNSSEC: mail to every domain without a policy is deferred")
		}
		return strict(level)
	case "encrypt", "verify", "secure", "fingerprint":
		return strict(level)
	case levelMay:
	default:
		return problem(checkSecurityLevel, remedy, "smtp_tls_security_level = %s is no level: no mail leaves this host", level)
	}
	return well(checkSecurityLevel, "smtp_tls_security_level = %s for domains without a policy", level)
}

func strict(level string) Finding {
	return hint(checkSecurityLevel, "none is needed if that is meant; the usual level is may or dane",
		"smtp_tls_security_level = %s: mail to domains without a policy is deferred where their servers do not live up to it", level)
}

func (c client) reuse() Finding {
	if _, has := c.service(serviceTLSProxy); has {
		return well(checkReuse, "smtp_tls_connection_reuse = yes, and master.cf has the tlsproxy service")
	}
	return problem(checkReuse, "add `tlsproxy unix - - y - 0 tlsproxy` to master.cf, or postconf -e smtp_tls_connection_reuse=no; postfix reload",
		"smtp_tls_connection_reuse = yes, but master.cf has no tlsproxy service: all mail over TLS is deferred")
}
