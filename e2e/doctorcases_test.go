package e2e

import (
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mta-sts-daemon/resolver/resolvertest"
)

// patient is a way to set up a host, and what doctor finds there.
type patient struct {
	name       string
	mainCF     []string // lines in place of the usual ones
	masterCF   string   // lines added
	ownMap     string   // smtp_tls_policy_maps of the smtp service in master.cf
	config     []string // lines in place of the usual ones, for doctor
	restart    bool     // also for the daemon, which is started again
	resolver   netip.AddrPort
	socketMode fs.FileMode
	before     func(*testing.T, *surgery)
	after      func(*testing.T, *surgery) // mail was sent, before doctor runs
	domain     string                     // with the policy; "": policyDomain
	want       finding
	only       []suite // nil: all

	stuck    bool // the smtp client does not start
	noMail   bool // no message shows it
	clear    bool // mail without a policy is meant to be sent without TLS
	meant    bool // what happens to mail is meant
	unlogged bool // Postfix logs no TLS
	notCured bool // the remedy alone is not enough
}

const (
	policyDomain = "policy.example"
	plainDomain  = "plain.example"
)

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
	const dead, notProxied = "127.0.0.1:9461", "proxy:socketmap:inet:127.0.0.1:8461:x"
	of := func(f finding, services ...string) finding {
		f.Services = services
		return f
	}
	return []patient{
		{name: "well", want: fine("answers", mapServer)},
		{name: "tcp_table", mainCF: maps(tcpTable), want: fine("answers", tcpTable)},
		{name: "by proxymap", mainCF: maps("proxy:" + mapServer), want: fine("answers", "proxy:")},
		{name: "unix socket", mainCF: maps(nextTo), want: fine("answers", nextTo)},
		{name: "absolute path in a chroot", mainCF: maps(absolute), only: withJail, want: problem("answers", "runs in the chroot")},
		{name: "absolute path without a chroot", mainCF: maps(absolute), only: withoutJail, want: fine("answers", absolute)},
		{name: "socket not for Postfix", mainCF: maps(nextTo), socketMode: 0o600, want: problem("answers", "does not let the user postfix")},
		{name: "localhost in a chroot", mainCF: maps("socketmap:inet:localhost:8461:postfix"), only: withJail,
			want: hint("answers", "does not have localhost")},

		{name: "no map", mainCF: maps(""), want: problem("policy-maps", "is empty")},
		{name: "nobody listens", mainCF: maps("socketmap:inet:" + dead + ":postfix"), want: problem("answers", "Nobody answers at "+dead)},
		// Postfix tries a tcp table ten times, a second apart.
		{name: "nobody listens, tcp", mainCF: maps("tcp:" + dead), only: []suite{forky}, want: problem("answers", "Nobody answers at "+dead)},
		{name: "dead socketmap before", mainCF: maps("socketmap:inet:" + dead + ":x " + mapServer), want: problem("answers", "so mail to every domain is deferred")},
		{name: "dead tcp before", mainCF: maps("tcp:" + dead + " " + mapServer), only: []suite{bookworm}, want: problem("answers", "so mail to every domain is deferred")},
		{name: "dead socketmap after", mainCF: maps(mapServer + " socketmap:inet:" + dead + ":x"), want: problem("answers", "that the daemon has no policy for")},
		{name: "dead tcp after", mainCF: maps(mapServer + " tcp:" + dead), only: []suite{trixie}, want: problem("answers", "that the daemon has no policy for")},
		{name: "dead map after static", mainCF: maps(mapServer + " static:may tcp:" + dead), want: fine("answers", mapServer)},
		{name: "missing socket of another", mainCF: maps("socketmap:unix:other/sock:x " + mapServer), want: problem("answers", "so mail to every domain is deferred")},
		{name: "not in proxy_read_maps", mainCF: append(maps("proxy:"+mapServer), "proxy_read_maps ="), stuck: true, want: problem("policy-maps", "the proxymap service refuses it")},
		{name: "not in proxy_read_maps, by -o", ownMap: notProxied, stuck: true, want: of(problem("policy-maps", "the proxymap service refuses it"), "smtp")},
		{name: "nobody listens, by -o", ownMap: "socketmap:inet:" + dead + ":x", want: of(problem("answers", "Nobody answers at "+dead), "smtp")},
		{name: "no daemon in the list", mainCF: maps("inline:{x.test=may}"), want: problem("policy-maps", "names no address of the daemon")},
		{name: "malformed", mainCF: maps("socketmap:inet:" + daemonAddr), stuck: true, want: problem("policy-maps", "is not how such a table is written")},
		{name: "shadowed", mainCF: maps("static:may " + mapServer), want: problem("policy-maps", "for every domain before the daemon")},
		{name: "shadowed in part", mainCF: maps("inline:{x.test=may} " + mapServer), want: hint("policy-maps", "is asked before the daemon")},
		{name: "no database", mainCF: maps("hash:/etc/postfix/tls " + mapServer), want: problem("policy-maps", "there is no /etc/postfix/tls.db")},
		{name: "no database after", mainCF: maps(mapServer + " hash:/etc/postfix/tls"), want: problem("policy-maps", "there is no /etc/postfix/tls.db")},
		{name: "hash redirected to cdb", mainCF: append(maps("hash:/etc/postfix/redirected "+mapServer), redirected), only: withoutJail,
			before: postmap, meant: true, want: hint("policy-maps", "hash:/etc/postfix/redirected is asked before the daemon")},
		{name: "hash redirected, no database", mainCF: append(maps("hash:/etc/postfix/tls "+mapServer), redirected), only: withoutJail,
			want: problem("policy-maps", "there is no /etc/postfix/tls.cdb")},
		{name: "own map of a service", masterCF: "out unix - - - - - smtp\n  -o smtp_tls_policy_maps=\n",
			want: of(hint("policy-maps", "sets smtp_tls_policy_maps to nothing"), "out")},

		{name: "attributes too early", mainCF: maps(reportingMap), only: beforeReports, want: problem("map-name", "does not know")},
		{name: "attributes too early, tcp", mainCF: maps("tcp:" + reportAddr), only: beforeReports, notCured: true, want: problem("map-name", "does not know")},
		{name: "attributes", mainCF: maps(reportingMap), only: withReports, want: fine("map-name", "suits Postfix 3.1")},
		{name: "attributes, tcp", mainCF: maps("tcp:" + reportAddr), only: withReports, want: fine("map-name", "suits Postfix 3.1")},
		{name: "no attributes", only: withReports, want: hint("map-name", "without report attributes")},
		{name: "patterns not enforced", mainCF: append(maps(reportingMap), "smtp_tls_enforce_sts_mx_patterns = no"), only: withReports,
			want: hint("map-name", "smtp_tls_enforce_sts_mx_patterns = no")},

		{name: "no authorities", mainCF: []string{"smtp_tls_CAfile ="}, notCured: true, want: problem("authorities", "are empty")},
		{name: "no authorities to append to", mainCF: []string{"smtp_tls_CAfile =", "tls_append_default_CA = yes"}, notCured: true, want: problem("authorities", "are empty")},
		{name: "no CA file", mainCF: []string{"smtp_tls_CAfile = /etc/none.pem"}, notCured: true, want: problem("authorities", "/etc/none.pem")},
		{name: "no CA in the file", mainCF: []string{"smtp_tls_CAfile = /etc/passwd"}, notCured: true, want: problem("authorities", "holds no certificate")},
		{name: "no CA directory", mainCF: []string{"smtp_tls_CAfile =", "smtp_tls_CApath = /etc/none"}, notCured: true, want: problem("authorities", "has no authorities")},
		{name: "CA file and no CA directory", mainCF: []string{"smtp_tls_CApath = /etc/none"}, want: hint("authorities", "only those of smtp_tls_CAfile count")},
		{name: "CA directory and no CA file", mainCF: []string{"smtp_tls_CAfile = /etc/none.pem", "smtp_tls_CApath = /etc/postfix/cas"}, before: hashedAuthority,
			notCured: true, want: problem("authorities", "/etc/none.pem")},
		{name: "CA directory", mainCF: []string{"smtp_tls_CAfile =", "smtp_tls_CApath = /etc/postfix/cas"}, before: hashedAuthority, want: fine("authorities", "/etc/postfix/cas")},
		{name: "no authorities for policy hosts", config: []string{"fetch: {allow_networks: [127.0.0.0/8]}"}, restart: true, want: problem("authorities", "No policy can be fetched")},

		{name: "no mandatory protocol", mainCF: []string{"smtp_tls_mandatory_protocols = !TLSv1.2, !TLSv1.3"}, want: problem("protocols", "neither TLSv1.2 nor TLSv1.3")},
		{name: "old mandatory protocols", mainCF: []string{"smtp_tls_mandatory_protocols = TLSv1:TLSv1.1"}, want: problem("protocols", "neither TLSv1.2 nor TLSv1.3")},
		{name: "no such mandatory protocol", mainCF: []string{"smtp_tls_mandatory_protocols = TLS1.2"}, want: problem("protocols", "has a name that is no protocol")},
		{name: "no protocol", mainCF: []string{"smtp_tls_protocols = <=TLSv1.1"}, want: problem("protocols", "neither TLSv1.2 nor TLSv1.3")},
		{name: "no such protocol", mainCF: []string{"smtp_tls_protocols = TLS1.2"}, want: problem("protocols", "has a name that is no protocol")},
		{name: "one protocol", mainCF: []string{"smtp_tls_protocols = !SSLv2:!SSLv3", "smtp_tls_mandatory_protocols = >=TLSv1.3"}, want: fine("answers", "")},
		{name: "no TLS log", mainCF: []string{"smtp_tls_loglevel = 0"}, unlogged: true, want: hint("log-level", "smtp_tls_loglevel = 0")},
		{name: "TLSRPT without a socket", mainCF: []string{"smtp_tlsrpt_enable = yes"}, only: withReports, want: hint("tlsrpt", "smtp_tlsrpt_socket_name is empty")},
		{name: "TLSRPT without a collector", mainCF: []string{"smtp_tlsrpt_enable = yes", "smtp_tlsrpt_socket_name = run/tlsrpt"}, only: withReports,
			want: hint("tlsrpt", "No TLSRPT collector reads at ")},

		{name: "in the clear", mainCF: []string{"smtp_tls_security_level ="}, clear: true, want: hint("security-level", "without TLS")},
		{name: "no TLS", mainCF: []string{"smtp_tls_security_level = none"}, clear: true, want: hint("security-level", "without TLS")},
		{name: "obsolete", mainCF: []string{"smtp_tls_security_level =", "smtp_use_tls = yes"}, clear: true, want: hint("security-level", "obsolete")},
		{name: "encrypt", mainCF: []string{"smtp_tls_security_level = encrypt"}, want: hint("security-level", "= encrypt")},
		{name: "dane without DNSSEC", mainCF: []string{"smtp_tls_security_level = dane"}, want: hint("security-level", "has the effect of may")},
		{name: "dane-only without DNSSEC", mainCF: []string{"smtp_tls_security_level = dane-only"}, want: problem("security-level", "without DNSSEC"), notCured: true},
		{name: "no such level", mainCF: []string{"smtp_tls_security_level = yes"}, stuck: true, want: problem("security-level", "is unknown to Postfix")},
		{name: "no tlsproxy", mainCF: []string{"smtp_tls_connection_reuse = yes"}, want: problem("connection-reuse", "no tlsproxy service")},
		{name: "tlsproxy", mainCF: []string{"smtp_tls_connection_reuse = yes"}, masterCF: "tlsproxy unix - - y - 0 tlsproxy\n", want: fine("connection-reuse", "")},
		{name: "relay host", mainCF: []string{"relayhost = [relay.test]"}, noMail: true, want: hint("relayhost", "[relay.test]")},

		{name: "DANE overridden", mainCF: doesDANE, want: hint("dane", "policies override it here")},
		{name: "DANE first", mainCF: doesDANE, config: []string{daneAuto}, want: fine("dane", "DANE takes precedence")},
		{name: "DANE", mainCF: doesDANE, config: []string{daneAuto}, restart: true, domain: "dane.example", want: fine("dane", "DANE takes precedence")},
		{name: "DANE, resolver does not validate", mainCF: doesDANE, config: []string{daneAuto}, restart: true, resolver: secondAddr, domain: "dane.example",
			want: problem("dane", "its resolver does not validate")},
		{name: "always without DNSSEC", config: []string{daneAlways}, restart: true, domain: "dane.example", notCured: true,
			want: problem("dane", "defers mail to every domain that has it")},
		{name: "resolver refuses the root", config: []string{`dns: {servers: ["127.0.0.57"], dane: off}`}, restart: true, resolver: refusesTheRoot,
			want: fine("resolver", "The resolver answers")},
		{name: "resolver does not answer", config: []string{`dns: {servers: ["127.0.0.99"], timeout: 500ms}`, "answer_timeout: 1s"}, restart: true, want: problem("resolver", "does not answer")},
		{name: "bad configuration", config: []string{"mode: sometimes"}, noMail: true, want: problem("configuration", "config.yaml:")},

		{name: "override of a working policy", config: []string{"overrides: {policy.example: notfound}"}, restart: true, meant: true,
			want: hint("overrides", "replaces a protection that works")},
		{name: "override that is needed", config: []string{"overrides: {mismatch.example: may, plain.example: notfound}"}, restart: true,
			want: fine("overrides", "Overrides without an end: 2 (mismatch.example, plain.example); in the file for at least 30 days"), before: oldConfiguration},
		{name: "override that has ended", config: []string{"overrides: {policy.example: {answer: notfound, until: 2026-01-01}}"}, restart: true,
			want: hint("overrides", "The override of policy.example ended at")},
		{name: "mismatch", restart: true, domain: "mismatch.example", want: problem("domains", "matches no MX host: 1")},
		{name: "TEMP", mainCF: doesDANE, config: []string{daneAuto}, restart: true, domain: "temp.example", want: problem("domains", "a DNS question fails: 1")},
		{name: "expiring", restart: true, domain: "expiring.example", after: failRefresh, want: hint("domains", "lose their protection within two days, because their policy cannot be refreshed: 1")},
	}
}

// redirected has Postfix 3.11 use default_database_type for hash tables: cdb on Debian.
const redirected = "non_bdb_migration_level = enable-redirect"

// postmap makes the database of the table "redirected".
func postmap(t *testing.T, s *surgery) {
	run(t, s.root.command("/usr/sbin/postmap", "hash:/etc/postfix/redirected"))
}

// hashedAuthority makes the authority's file in a CA directory, in the chroot too.
func hashedAuthority(t *testing.T, s *surgery) {
	for _, dir := range []string{"", "var/spool/postfix/"} {
		s.root.write(t, dir+"etc/postfix/cas/"+s.caName, string(s.world.ca.PEM()))
	}
}

// oldConfiguration sets the time of the daemon's configuration back.
func oldConfiguration(t *testing.T, s *surgery) {
	then := time.Now().AddDate(0, 0, -30)
	if err := os.Chtimes(filepath.Join(s.root.dir, daemonConfig), then, then); err != nil {
		t.Fatal(err)
	}
}

// failRefresh has the policy that ends within two days fail to be fetched again.
func failRefresh(t *testing.T, s *surgery) {
	const domain = "expiring.example"
	s.world.hosts.Handle(domain, resolvertest.HostStatus(500, ""))
	t.Cleanup(func() { s.world.hosts.Handle(domain, shortLived(domain)) })
	if out, err := s.root.command(daemonPath, "refresh", "--config", daemonConfig, domain).CombinedOutput(); err == nil {
		t.Errorf("refresh did not fail: %s", out)
	}
}

// shortLived is a policy that lives for a day.
func shortLived(domain string) resolvertest.Behaviour {
	return resolvertest.HostPolicy(strings.Replace(policy("enforce", "mx."+domain), "604800", "86400", 1))
}
