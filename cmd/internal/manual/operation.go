package manual

import "strings"

// Paths of the packages and the unit.
const (
	configFile  = "/etc/mta-sts-daemon/config.yaml"
	exampleFile = "/usr/share/doc/mta-sts-daemon/examples/config.yaml"
)

// operation writes what no command's definition says.
func (p *page) operation() {
	p.heading("POSTFIX")
	p.paragraphs(`In main.cf, for every Postfix:

  smtp_tls_security_level = may
  smtp_tls_CAfile = /etc/ssl/certs/ca-certificates.crt
  smtp_tls_policy_maps = socketmap:inet:127.0.0.1:8461:postfix

For Postfix 3.10 and later; TLS reports (RFC 8460) then name the policy, and 3.10.5 and later also checks the names of
MX hosts. Postfix before 3.10 would defer all mail to domains with a policy:

  smtp_tls_policy_maps = socketmap:inet:127.0.0.1:8461:QUERYwithTLSRPT`)

	p.heading("SIGNALS")
	p.item("SIGHUP", "Load the configuration again. If it has a fault, the old one stays in force.")
	p.item("SIGTERM, SIGINT", "Answer the lookups under way, then end.")

	p.heading("EXIT STATUS")
	p.item("0", "Success.")
	p.item("1", "Failure; the reason is on standard error. Some commands have more statuses, which are listed with them above.")

	p.item("64", "A mistake in the command line.")

	p.heading("ENVIRONMENT")
	p.item("STATE_DIRECTORY", "The directory of policies.db, and for outcomes the directory of its position in the log. systemd sets it. Without it policies.db is below XDG_STATE_HOME, or ~/.local/state if that is not set.")
	p.item("RUNTIME_DIRECTORY", "The directory of admin.sock. systemd sets it. Without it admin.sock is below XDG_RUNTIME_DIR, or in the state directory if that is not set.")

	p.heading("FILES")
	p.item(configFile, "The configuration, see "+configPage+"(5). It may be missing.")
	p.item("/var/lib/mta-sts-daemon/policies.db", "The policies, under systemd. Keep this file: without it an attacker can downgrade mail until each policy is fetched again.")
	p.item("/var/lib/mta-sts-outcomes/outcomes.json", "The position of mta-sts-outcomes.service in the journal.")
	p.item("/var/spool/postfix/mta-sts/sock", "The socket of mta-sts-daemon.socket in Postfix's chroot.")
	p.item("/usr/share/doc/mta-sts-daemon/examples/", "An example configuration, and lines for main.cf.")

	p.seeAlso(configPage+"(5)", "postconf(5)", "socketmap_table(5)", "tcp_table(5)", "systemctl(1)", "journalctl(1)")
	p.paragraphs("\nRFC 8461 (MTA-STS), RFC 8460 (TLSRPT), RFC 7672 (DANE for SMTP)")
}

func (p *page) seeAlso(pages ...string) {
	p.heading("SEE ALSO")
	p.paragraphs(strings.Join(pages, ",\n"))
}
