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

// Map names that remedies use.
const (
	plainMap     = "postfix"
	reportingMap = "QUERYwithTLSRPT"
)

// Which mail is deferred if a table cannot be used.
const (
	everyDomain = "mail to every domain is deferred"
	// Postfix asks the tables after the daemon's only about domains that the daemon has no
	// policy for.
	unprotectedDomains = "mail to every domain that the daemon has no policy for is deferred"
)

// judgement is the result of examining one table.
type judgement struct {
	findings []Finding
	// drop is set if the remedy is to remove the table from smtp_tls_policy_maps.
	// policyMaps adds the command for that; until then the Remedy of each finding has only
	// what may be done instead.
	drop bool
}

// policyMaps examines the tables that the client asks for policies: each must answer,
// and the daemon's answers must be in a form for this Postfix. It does not examine the
// tables after a static one, because Postfix never asks them.
func (h Host) policyMaps(ctx context.Context, c client) []Finding {
	tables := postconf.ParseTables(c.get(policyMaps))
	if len(tables) == 0 {
		return []Finding{h.noMaps(c)}
	}
	isOurs := func(t postconf.Table) bool { return h.listensAt(c, t) }
	ours := slices.IndexFunc(tables, isOurs)
	var all []judgement
	var kept []postconf.Table
	shadowed, answering := false, -1
	for i, t := range tables {
		var j judgement
		switch {
		case t.Malformed:
			j = dropped(problem(checkPolicyMaps, "",
				"%s in smtp_tls_policy_maps is not how such a table is written: the smtp client does not start and no mail leaves this host", t.Text))
		case shadowed:
		case t.Kind == postconf.TypeStatic:
			shadowed = true
			if ours < 0 || i < ours {
				j = dropped(problem(checkPolicyMaps, "", "%s in smtp_tls_policy_maps answers for every domain before the daemon is asked", t.Text))
			}
		case ours >= 0 && i > ours:
			j = h.table(ctx, c, t, unprotectedDomains)
		default:
			j = h.table(ctx, c, t, everyDomain)
		}
		if !j.drop {
			kept = append(kept, t)
		}
		if i < ours && !shadowed && j.findings == nil {
			j.findings = []Finding{hint(checkPolicyMaps, "none is needed if that is meant",
				"%s is asked before the daemon: its answer for a domain takes precedence over the domain's policy", t.Text)}
		}
		if answering < 0 && t.Asks() && j.findings == nil {
			answering = i
		}
		all = append(all, j)
	}
	repaired := h.withDaemon(c, kept)
	var findings []Finding
	for _, j := range all {
		for _, f := range j.findings {
			if j.drop {
				f.Remedy = limited(repaired + f.Remedy)
			}
			findings = append(findings, f)
		}
	}
	switch {
	case ours >= 0:
		return append(findings, h.mapName(c, tables, ours)...)
	case answering >= 0:
		findings = append(findings, hint(checkPolicyMaps, repaired+" (or nothing, if mta-sts-daemon answers there)",
			"%s answers, but this host's configuration does not listen there", tables[answering].Text))
		return append(findings, h.mapName(c, tables, answering)...)
	case verdict(findings) != Suffers:
		findings = append(findings, problem(checkPolicyMaps, repaired,
			"smtp_tls_policy_maps = %s names no address of the daemon: Postfix does not ask it for policies", c.get(policyMaps)))
	}
	return findings
}

func dropped(f Finding) judgement { return judgement{findings: []Finding{f}, drop: true} }

// noMaps is the finding if the client asks no table.
func (h Host) noMaps(c client) Finding {
	if _, own := c.own[policyMaps]; own {
		return hint(checkPolicyMaps, "none is needed if that is meant",
			"master.cf sets smtp_tls_policy_maps to nothing: no policy protects the mail of this service")
	}
	return problem(checkPolicyMaps, h.withDaemon(c, nil), "smtp_tls_policy_maps is empty: Postfix asks for no policies")
}

// table examines one table; scope is the mail that is deferred if it cannot be used. No
// findings mean that it can be used and is not the daemon's.
func (h Host) table(ctx context.Context, c client, t postconf.Table, scope string) judgement {
	if t.Proxied && !c.proxyAllows(t) {
		return judgement{findings: []Finding{problem(checkPolicyMaps,
			fmt.Sprintf(`postconf -e "proxy_read_maps=$(postconf -h proxy_read_maps) %s"; postfix reload (or write %s without proxy:)`, t.Text, t.Direct),
			"%s in smtp_tls_policy_maps: the proxymap service refuses it, because proxy_read_maps does not have it: no mail leaves this host", t.Text)}}
	}
	if file := t.File(c.redirected()); file != "" {
		if _, err := os.Stat(c.seen(file, false)); errors.Is(err, fs.ErrNotExist) {
			return dropped(problem(checkPolicyMaps, " (or make the file, with postmap if it is a database)",
				"%s in smtp_tls_policy_maps: there is no %s, so %s", t.Text, file, scope))
		}
	}
	if !t.Asks() {
		return judgement{}
	}
	return h.answers(ctx, c, t, scope)
}

// redirected maps the table types of Berkeley DB to those that Postfix 3.11 and later
// uses in place of them.
func (p postfix) redirected() map[string]string {
	if !strings.HasPrefix(p.main[bdbMigration], "enable-") {
		return nil
	}
	return map[string]string{"hash": p.main[databaseType], "btree": p.main[cacheDBType]}
}

// withDaemon is the command that sets the client's policy maps to these tables and, if
// none of them is the daemon's, the daemon's after them.
func (h Host) withDaemon(c client, tables []postconf.Table) string {
	var names []string
	for _, t := range tables {
		names = append(names, t.Text)
	}
	if !slices.ContainsFunc(tables, func(t postconf.Table) bool { return h.listensAt(c, t) }) {
		names = append(names, h.suggestion(c))
	}
	return c.set(policyMaps, strings.Join(names, " "))
}

// suggestion is the daemon's first socket as main.cf should name it.
func (h Host) suggestion(c client) string {
	name := plainMap
	if c.checksPatterns() && h.reports(reportingMap) {
		name = reportingMap
	}
	at := slices.Concat(h.Config.Listen.Socketmap, clients.ShippedSockets())[0]
	if at.Network == config.Unix {
		return "socketmap:unix:" + strings.TrimPrefix(at.Address, c.main[queueDirectory]+"/") + ":" + name
	}
	host, port, _ := net.SplitHostPort(at.Address)
	if ip, _ := netip.ParseAddr(host); host == "" || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "socketmap:inet:" + net.JoinHostPort(host, port) + ":" + name
}

// proxyAllows reports whether the proxymap service looks t up for the client.
func (c client) proxyAllows(t postconf.Table) bool {
	value, known := c.main[proxyReadMaps]
	service, runs := c.service(serviceProxymap)
	if own, ok := service.Settings[proxyReadMaps]; ok {
		value, known = own, true
	}
	return runs && (!known || slices.ContainsFunc(postconf.ParseTables(value), func(allowed postconf.Table) bool {
		return allowed.Proxied && allowed.Direct == t.Direct
	}))
}

// reportingSince is the first Postfix that knows report attributes.
var reportingSince = version{3, 10}

// checksPatterns reports whether this Postfix can compare MX host names with the policy
// in report attributes: 3.10.5 and later.
func (p postfix) checksPatterns() bool {
	_, knows := p.main[enforceSTSPatterns]
	return knows
}

// mapName examines whether the daemon's answers to tables[at] are in a form for this
// Postfix.
func (h Host) mapName(c client, tables []postconf.Table, at int) []Finding {
	t := tables[at]
	name := t.Name
	if t.Kind == postconf.TypeTCP {
		name = h.mapOf(t)
	}
	v, known := parseVersion(c.main[mailVersion])
	switch enforces := c.main[enforceSTSPatterns]; {
	case !known:
		return []Finding{unknown(checkMapName, "", "Postfix says that its version is %s: whether it knows report attributes is not known", c.main[mailVersion])}
	case h.reports(name) && v.before(reportingSince):
		return []Finding{problem(checkMapName, c.rename(tables, at, plainMap),
			"%s is answered with report attributes, which Postfix %s does not know: mail to every domain with a policy is deferred", t.Text, c.main[mailVersion])}
	case h.reports(name) && c.checksPatterns() && !strings.EqualFold(enforces, yes):
		return []Finding{hint(checkMapName, c.set(enforceSTSPatterns, yes),
			"smtp_tls_enforce_sts_mx_patterns = %s: Postfix does not compare MX host names with the policy, only certificates", enforces)}
	case !h.reports(name) && c.checksPatterns():
		return []Finding{hint(checkMapName, c.rename(tables, at, reportingMap),
			"%s is answered without report attributes: Postfix compares certificates with the policy, but not MX host names, and TLS reports do not name it", t.Text)}
	}
	return []Finding{well(checkMapName, "The map name in %s suits Postfix %s", t.Text, c.main[mailVersion])}
}

// rename is the remedy that changes the map name of tables[at].
func (c client) rename(tables []postconf.Table, at int, name string) string {
	var texts []string
	for i, t := range tables {
		if i == at {
			if t.Kind == postconf.TypeTCP {
				return fmt.Sprintf("set map: %s for %v in listen.tcp_table of the daemon's configuration; restart it", name, t.Server)
			}
			t.Text = strings.TrimSuffix(t.Text, t.Name) + name
		}
		texts = append(texts, t.Text)
	}
	return c.set(policyMaps, strings.Join(texts, " "))
}

// reports reports whether a map is answered with report attributes.
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

// inChroot reports whether the program that looks t up for the client runs in the
// chroot; its root is the queue directory.
func (c client) inChroot(t postconf.Table) bool {
	if !t.Proxied {
		return c.chroot
	}
	proxymap, _ := c.service(serviceProxymap)
	return c.chroots(proxymap)
}
