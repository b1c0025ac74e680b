package tlspolicy

import (
	"strings"

	"mta-sts-daemon/resolver/mtasts"
)

// AppendSecure appends the TLS policy that has Postfix deliver only to hosts
// with a certificate that chains to a trusted authority and names one of the
// policy's MX hosts. "*.example.com" becomes Postfix's ".example.com".
// servername sends the MX host's name as SNI (RFC 8461 section 7.1).
//
// Postfix checks the certificate and not the MX host's own name; docs/rfc8461.md
// says which two gaps that leaves.
func AppendSecure(dst []byte, p *mtasts.Policy) []byte {
	dst = append(dst, "secure match="...)
	for i, pattern := range p.MX {
		if i > 0 {
			dst = append(dst, ':')
		}
		dst = append(dst, strings.TrimPrefix(pattern, "*")...)
	}
	return append(dst, " servername=hostname"...)
}

// AppendReport appends the attributes of a policy that Postfix 3.10 and later report
// and check (postconf(5) smtp_tlsrpt_enable, smtp_tls_enforce_sts_mx_patterns). If
// they do not fit, it leaves out the policy's lines, or else all attributes.
func AppendReport(dst []byte, d mtasts.Domain, p *mtasts.Policy, fits func([]byte) bool) []byte {
	without := len(dst)
	dst = append(dst, " policy_type=sts policy_domain="...)
	dst = append(dst, d.String()...)
	for _, pattern := range p.MX {
		dst = append(dst, " mx_host_pattern="...)
		dst = append(dst, pattern...)
	}
	if !fits(dst) {
		return dst[:without]
	}
	withPatterns := len(dst)
	for line := range p.Lines {
		if !reportable(line) {
			continue
		}
		dst = append(dst, " { policy_string = "...)
		at := len(dst)
		dst = append(dst, line...)
		for i, c := range dst[at:] {
			if c == '\t' {
				dst[at+i] = ' '
			}
		}
		dst = append(dst, " }"...)
	}
	if !fits(dst) {
		return dst[:withPatterns]
	}
	return dst
}

// reportable reports whether Postfix reads back the line that the policy's
// author wrote, and nothing else: no brace that ends the attribute, nothing
// but printable ASCII and tabs.
func reportable(line string) bool {
	for i := range len(line) {
		if c := line[i]; c == '{' || c == '}' || c > '~' || c < ' ' && c != '\t' {
			return false
		}
	}
	return true
}
