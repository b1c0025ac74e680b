package manual

import "mta-sts-daemon/config"

// keysPage is the manual page of the configuration file, section 5.
func keysPage(keys []config.Key, e Edition) string {
	p := newPage(configPage, "5", e)
	p.heading("NAME")
	p.paragraphs(configPage + " - configuration of " + program)
	p.heading("SYNOPSIS")
	p.macro("I", configFile)
	p.heading("DESCRIPTION")
	p.paragraphs(`The file is YAML and may be missing: every key has a default. A key that is not in this
page is an error. Names below are written with dots: dns.timeout is the key timeout in the section dns:

  dns:
    timeout: 3s

Times are written like 500ms, 8s, 2m or 24h.

` + program + ` check-config names file, line and key of each fault. "systemctl reload ` + program + `" applies
the file to the running daemon, except for the keys below that need a restart. If the file has a fault, the old
configuration stays in force.`)
	p.heading("ENVIRONMENT")
	p.paragraphs(`Every key can be set by an environment variable too, which takes precedence over the file. Its
name is MTA_STS_ and the key in capitals, with _ for each dot. A list has commas between its items, or is written as YAML
if its items are mappings; it replaces the list of the file. A mapping is written as YAML, and its entries are added to those of the
file:

  MTA_STS_ANSWER_TIMEOUT=5s
  MTA_STS_DNS_SERVERS=10.0.0.1,10.0.0.2
  MTA_STS_OVERRIDES='{partner.example: encrypt, broken.example: notfound}'
  MTA_STS_LISTEN_TCP_TABLE='[{address: "127.0.0.1:8462", map: tlsrpt}]'

An empty variable sets an empty value. If a variable that begins with MTA_STS_ is not a key, a warning is
logged. A reload reads the file again, but the variables stay as they were when the daemon was started. Commands read the
environment too: if a variable sets admin.socket, as in a container, they need the same variable.`)
	p.heading("KEYS")
	for _, k := range keys {
		p.key(k)
	}
	p.heading("FILES")
	p.item(exampleFile, "Every key with its default.")
	p.seeAlso(program+"(8)", "postconf(5)", "socketmap_table(5)", "tcp_table(5)")
	return p.String()
}

func (p *page) key(k config.Key) {
	if k.Section {
		if k.About != "" {
			p.item(k.Name, k.About+restart(k))
		}
		return
	}
	p.item(k.Name+": "+k.Default, k.About+"\n\nValues: "+k.Values+"."+restart(k))
}

func restart(k config.Key) string {
	if k.Restart {
		return " Needs a restart."
	}
	return ""
}
