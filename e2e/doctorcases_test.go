package e2e

import "io/fs"

// patient is a set-up of a host, and the findings of doctor for it.
type patient struct {
	name       string
	mainCF     []string // lines in place of the usual ones
	masterCF   string   // lines added
	config     []string // lines in place of the usual ones in the doctor's eyes
	socketMode fs.FileMode
	want       finding
	only       []suite // nil: all
	noMail     bool    // no message shows it: Postfix hangs, or this domain's mail is not concerned
}

func problem(check, text string) finding {
	return finding{Check: check, Severity: "problem", Text: text}
}
func hint(check, text string) finding { return finding{Check: check, Severity: "hint", Text: text} }
func fine(check, text string) finding { return finding{Check: check, Severity: "ok", Text: text} }

const (
	nextTo   = "socketmap:unix:mta-sts/sock:postfix"
	absolute = "socketmap:unix:/var/spool/postfix/mta-sts/sock:postfix"
)

var (
	beforeReports = []suite{bookworm}
	withReports   = []suite{trixie, forky}
	withJail      = []suite{bookworm, trixie}
	withoutJail   = []suite{forky}
)

func patients() []patient {
	maps := func(tables string) []string { return []string{"smtp_tls_policy_maps = " + tables} }
	return []patient{
		{name: "well", want: fine("answers", mapServer)},
		{name: "tcp_table", mainCF: maps(tcpTable), want: fine("answers", tcpTable)},
		{name: "by proxymap", mainCF: maps("proxy:" + mapServer), want: fine("answers", "proxy:")},
		{name: "unix socket", mainCF: maps(nextTo), want: fine("answers", nextTo)},
		{name: "absolute path in a jail", mainCF: maps(absolute), only: withJail, want: problem("answers", "is in a jail")},
		{name: "absolute path without a jail", mainCF: maps(absolute), only: withoutJail, want: fine("answers", absolute)},
		{name: "socket not for Postfix", mainCF: maps(nextTo), socketMode: 0o600, want: problem("answers", "does not let the user postfix")},
		{name: "localhost in a jail", mainCF: maps("socketmap:inet:localhost:8461:postfix"), only: withJail,
			want: hint("answers", "no hosts file says where localhost is")},

		{name: "no map", mainCF: maps(""), want: problem("policy-maps", "is empty")},
		{name: "other port", mainCF: maps("socketmap:inet:127.0.0.1:9461:postfix"), want: problem("policy-maps", "names no address of the daemon")},
		{name: "malformed", mainCF: maps("socketmap:inet:" + daemonAddr), noMail: true, want: problem("policy-maps", "is not how such a table is written")},
		{name: "shadowed", mainCF: maps("static:may " + mapServer), want: problem("policy-maps", "for every domain before the daemon")},
		{name: "shadowed in part", mainCF: maps("inline:{x.test=may} " + mapServer), want: hint("policy-maps", "is asked before the daemon")},
		{name: "no database", mainCF: maps("hash:/etc/postfix/tls " + mapServer), want: problem("policy-maps", "there is no /etc/postfix/tls.db")},
		{name: "own map of a service", masterCF: "out unix - - - - - smtp\n  -o smtp_tls_policy_maps=\n",
			want: finding{Check: "policy-maps", Severity: "hint", Services: []string{"out"}, Text: "sets smtp_tls_policy_maps to nothing"}},

		{name: "attributes too early", mainCF: maps(reportingMap), only: beforeReports, want: problem("map-name", "does not know")},
		{name: "attributes", mainCF: maps(reportingMap), only: withReports, want: fine("map-name", "suits Postfix 3.1")},
		{name: "no attributes", only: withReports, want: hint("map-name", "without report attributes")},
		{name: "patterns not enforced", mainCF: append(maps(reportingMap), "smtp_tls_enforce_sts_mx_patterns = no"), only: withReports,
			want: hint("map-name", "smtp_tls_enforce_sts_mx_patterns = no")},

		{name: "no authorities", mainCF: []string{"smtp_tls_CAfile ="}, want: problem("authorities", "are empty")},
		{name: "no authorities to append to", mainCF: []string{"smtp_tls_CAfile =", "tls_append_default_CA = yes"}, want: problem("authorities", "are empty")},
		{name: "no CA file", mainCF: []string{"smtp_tls_CAfile = /etc/none.pem"}, want: problem("authorities", "/etc/none.pem")},
		{name: "no CA in the file", mainCF: []string{"smtp_tls_CAfile = /etc/passwd"}, want: problem("authorities", "holds no certificate")},
		{name: "no CA directory", mainCF: []string{"smtp_tls_CAfile =", "smtp_tls_CApath = /etc/none"}, want: problem("authorities", "has no authorities")},

		{name: "in the clear", mainCF: []string{"smtp_tls_security_level ="}, want: hint("security-level", "in the clear")},
		{name: "no TLS", mainCF: []string{"smtp_tls_security_level = none"}, want: hint("security-level", "in the clear")},
		{name: "obsolete", mainCF: []string{"smtp_tls_security_level =", "smtp_use_tls = yes"}, want: hint("security-level", "obsolete")},
		{name: "encrypt", mainCF: []string{"smtp_tls_security_level = encrypt"}, want: hint("security-level", "= encrypt")},
		{name: "dane without DNSSEC", mainCF: []string{"smtp_tls_security_level = dane"}, want: hint("security-level", "does what may does")},
		{name: "dane-only without DNSSEC", mainCF: []string{"smtp_tls_security_level = dane-only"}, noMail: true, want: problem("security-level", "without DNSSEC")},
		{name: "no such level", mainCF: []string{"smtp_tls_security_level = yes"}, noMail: true, want: problem("security-level", "is no level")},
		{name: "no tlsproxy", mainCF: []string{"smtp_tls_connection_reuse = yes"}, want: problem("connection-reuse", "no tlsproxy service")},
		{name: "tlsproxy", mainCF: []string{"smtp_tls_connection_reuse = yes"}, masterCF: "tlsproxy unix - - y - 0 tlsproxy\n", want: fine("connection-reuse", "")},
		{name: "relay host", mainCF: []string{"relayhost = [relay.test]"}, noMail: true, want: hint("relayhost", "[relay.test]")},

		{name: "DANE overridden", mainCF: doesDANE, want: hint("dane", "policies override it here")},
		{name: "DANE first", mainCF: doesDANE, config: []string{daneAuto}, want: fine("dane", "DANE goes before")},
		{name: "always without DNSSEC", config: []string{daneAlways}, noMail: true, want: problem("dane", "defers mail to every domain that has it")},
		{name: "resolver does not answer", config: []string{`dns: {servers: ["127.0.0.99"], timeout: 500ms}`}, noMail: true, want: problem("resolver", "does not answer")},
		{name: "bad configuration", config: []string{"mode: sometimes"}, noMail: true, want: problem("configuration", "config.yaml:")},
	}
}
