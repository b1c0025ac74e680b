package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"mta-sts-daemon/cmd/internal/clients"
	"mta-sts-daemon/cmd/internal/postconf"
	"mta-sts-daemon/config"
)

// policyMaps looks at whom the client asks for policies, and whether it gets an
// answer that it understands.
func (h Host) policyMaps(ctx context.Context, c client) []Finding {
	value := c.get(policyMaps)
	tables := postconf.ParseTables(value)
	remedy := fmt.Sprintf("postconf -e %s=%s; postfix reload", policyMaps, h.suggestion(c))
	if len(tables) == 0 {
		if _, own := c.own[policyMaps]; own {
			return []Finding{hint(checkPolicyMaps, "none is needed if that is meant",
				"master.cf sets smtp_tls_policy_maps to nothing: no policy protects the mail of this service")}
		}
		return []Finding{problem(checkPolicyMaps, remedy, "smtp_tls_policy_maps is empty: Postfix asks for no policies")}
	}
	var findings []Finding
	for _, t := range tables {
		findings = append(findings, c.table(t, remedy)...)
	}
	mine := slices.IndexFunc(tables, func(t postconf.Table) bool { return h.listensAt(c, t) })
	if mine < 0 {
		if mine = slices.IndexFunc(tables, postconf.Table.Asks); mine < 0 || probe(ctx, tables[mine], c.address(tables[mine])) != nil {
			return append(findings, problem(checkPolicyMaps, remedy,
				"smtp_tls_policy_maps = %s names no address of the daemon: Postfix does not ask it for policies", value))
		}
		findings = append(findings, hint(checkPolicyMaps, "if it is another program than mta-sts-daemon: "+remedy,
			"%s answers, but this host's configuration does not listen there", tables[mine].Text))
	}
	for _, t := range tables[:mine] {
		findings = append(findings, before(t))
	}
	return append(findings, slices.Concat(h.answers(ctx, c, tables[mine]), h.mapName(c, tables[mine]))...)
}

// suggestion is the daemon's first socket as main.cf should name it.
func (h Host) suggestion(c client) string {
	at := slices.Concat(h.Config.Listen.Socketmap, clients.ShippedSockets())[0]
	if at.Network == config.Unix {
		return "socketmap:unix:" + strings.TrimPrefix(at.Address, c.main[queueDirectory]+"/") + ":postfix"
	}
	host, port, _ := net.SplitHostPort(at.Address)
	if ip, _ := netip.ParseAddr(host); host == "" || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "socketmap:inet:" + net.JoinHostPort(host, port) + ":postfix"
}

// table looks at one table by itself. One that is unusable stops all mail.
func (c client) table(t postconf.Table, remedy string) []Finding {
	if t.Malformed {
		return []Finding{problem(checkPolicyMaps, remedy,
			"%s in smtp_tls_policy_maps is not how such a table is written: the smtp client does not start and no mail leaves this host", t.Text)}
	}
	if file := t.File(); file != "" {
		if _, err := os.Stat(c.seen(file, false)); errors.Is(err, fs.ErrNotExist) {
			return []Finding{problem(checkPolicyMaps, fmt.Sprintf("make it, with postmap where it is a database, or take %s out of %s; postfix reload", t.Text, policyMaps),
				"%s in smtp_tls_policy_maps: there is no %s, so mail to every domain is deferred", t.Text, file)}
		}
	}
	return nil
}

// before is about a table that is asked before the daemon.
func before(t postconf.Table) Finding {
	if t.Kind == postconf.TypeStatic {
		return problem(checkPolicyMaps, fmt.Sprintf("take %s out of %s; postfix reload", t.Text, policyMaps),
			"%s in smtp_tls_policy_maps answers for every domain before the daemon is asked", t.Text)
	}
	return hint(checkPolicyMaps, "none is needed if that is meant",
		"%s is asked before the daemon: what it says of a domain goes before the domain's policy", t.Text)
}

// reportingSince is the first Postfix that knows report attributes.
var reportingSince = version{3, 10}

// mapName looks whether the answers that t asks for are for this Postfix.
func (h Host) mapName(c client, t postconf.Table) []Finding {
	name := t.Name
	if t.Kind == postconf.TypeTCP {
		name = h.mapOf(t)
	}
	v, known := parseVersion(c.main[mailVersion])
	enforces, knows := c.main[enforceSTSPatterns]
	switch {
	case !known:
		return []Finding{unknown(checkMapName, "", "Postfix says that its version is %s: whether it knows report attributes cannot be told", c.main[mailVersion])}
	case h.reports(name) && v.before(reportingSince):
		return []Finding{problem(checkMapName, "use another map name, postfix say; QUERYwithTLSRPT and tlsrpt are for Postfix 3.10 and later",
			"%s is answered with report attributes, which Postfix %s does not know: mail to every domain with a policy is deferred", t.Text, c.main[mailVersion])}
	case h.reports(name) && knows && !strings.EqualFold(enforces, yes):
		return []Finding{hint(checkMapName, "postconf -e smtp_tls_enforce_sts_mx_patterns=yes; postfix reload",
			"smtp_tls_enforce_sts_mx_patterns = %s: Postfix does not compare MX host names with the policy, certificates alone", enforces)}
	case !h.reports(name) && knows:
		return []Finding{hint(checkMapName, "name the map QUERYwithTLSRPT if you want that",
			"%s is answered without report attributes: Postfix holds certificates to the policy, but not MX host names, and TLS reports do not name it", t.Text)}
	}
	return []Finding{well(checkMapName, "The map name in %s suits Postfix %s", t.Text, c.main[mailVersion])}
}

// reports tells whether a map is answered with report attributes.
func (h Host) reports(name string) bool {
	profile := clients.Profile(h.Config)
	return profile.Reports(name)
}

// mapOf returns the map name that the daemon's tcp_table listener at t has.
func (h Host) mapOf(t postconf.Table) string {
	for _, l := range h.Config.Listen.TCPTable {
		if postconf.SameAddress(l.Address, t.Server) {
			return l.Map
		}
	}
	return ""
}

// jailedFor tells whether who looks t up for c sees the queue directory as the
// whole file system.
func (c client) jailedFor(t postconf.Table) bool {
	if !t.Proxied {
		return c.jailed
	}
	proxymap, _ := c.service(serviceProxymap)
	return c.jails(proxymap)
}
