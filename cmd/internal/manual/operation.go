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

For Postfix 3.10.5 and later, which then checks the names of MX hosts and reports (RFC 8460):

  smtp_tls_policy_maps = socketmap:inet:127.0.0.1:8461:QUERYwithTLSRPT`)

	p.heading("SIGNALS")
	p.item("SIGHUP", "Loads the configuration anew. A file with a fault leaves the old one in force.")
	p.item("SIGTERM, SIGINT", "Answer the lookups that were asked, then end.")

	p.heading("EXIT STATUS")
	p.item("0", "Done.")
	p.item("1", "Failed, with the reason on standard error. Commands that know more statuses name them above.")

	p.heading("ENVIRONMENT")
	p.item("STATE_DIRECTORY", "Where policies.db is kept, and by outcomes its position in the log. systemd sets it; without it policies.db is in XDG_STATE_HOME, ~/.local/state.")
	p.item("RUNTIME_DIRECTORY", "Where admin.sock is made. systemd sets it; without it that is in XDG_RUNTIME_DIR.")

	p.heading("FILES")
	p.item(configFile, "The configuration, see "+configPage+"(5). It may be missing.")
	p.item("/var/lib/mta-sts-daemon/policies.db", "The policies, under systemd. They are security state: who forgets one can be talked out of TLS.")
	p.item("/var/lib/mta-sts-outcomes/outcomes.json", "The position of mta-sts-outcomes.service in the journal.")
	p.item("/var/spool/postfix/mta-sts/sock", "The socket of mta-sts-daemon.socket within Postfix's jail.")
	p.item("/usr/share/doc/mta-sts-daemon/examples/", "An example configuration, and what main.cf needs.")

	p.seeAlso(configPage+"(5)", "postconf(5)", "socketmap_table(5)", "tcp_table(5)", "systemctl(1)", "journalctl(1)")
	p.paragraphs("\nRFC 8461 (MTA-STS), RFC 8460 (TLSRPT), RFC 7672 (DANE for SMTP)")
}

func (p *page) seeAlso(pages ...string) {
	p.heading("SEE ALSO")
	p.paragraphs(strings.Join(pages, ",\n"))
}
