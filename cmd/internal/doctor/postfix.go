package doctor

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"mta-sts-daemon/cmd/internal/clients"
	"mta-sts-daemon/cmd/internal/postconf"
)

// Parameters of Postfix that are examined, see postconf(5).
const (
	mailVersion        = "mail_version"
	compatibilityLevel = "compatibility_level"
	queueDirectory     = "queue_directory"
	mailOwner          = "mail_owner"
	relayhost          = "relayhost"
	policyMaps         = "smtp_tls_policy_maps"
	securityLevel      = "smtp_tls_security_level"
	useTLS             = "smtp_use_tls"
	enforceTLS         = "smtp_enforce_tls"
	caFile             = "smtp_tls_CAfile"
	caPath             = "smtp_tls_CApath"
	connectionReuse    = "smtp_tls_connection_reuse"
	dnsSupportLevel    = "smtp_dns_support_level"
	protocols          = "smtp_tls_protocols"
	mandatoryProtocols = "smtp_tls_mandatory_protocols"
	logLevel           = "smtp_tls_loglevel"
	proxyReadMaps      = "proxy_read_maps"
	bdbMigration       = "non_bdb_migration_level"
	databaseType       = "default_database_type"
	cacheDBType        = "default_cache_db_type"
	enforceSTSPatterns = "smtp_tls_enforce_sts_mx_patterns"
	tlsrptEnable       = "smtp_tlsrpt_enable"
	tlsrptSocket       = "smtp_tlsrpt_socket_name"
	yes                = "yes"
)

// Services and programs of master.cf that matter here, and the type of services that
// only Postfix itself uses.
const (
	serviceSMTP     = "smtp"
	serviceTLSProxy = "tlsproxy"
	serviceProxymap = "proxymap"
	typeUnix        = "unix"
)

// Values of a service's chroot column.
const (
	inChroot  = "y"
	byVersion = "-"
)

// postfix is one instance of this host's Postfix.
type postfix struct {
	dns      postconf.Settings
	main     map[string]string // main.cf
	services []postconf.Service
}

// instances examines each enabled instance of Postfix that asks the daemon or another
// server, or the primary one if none does. It returns no instances if Postfix cannot be
// asked.
func (h Host) instances(ctx context.Context) (instances postconf.Instances, findings []Finding) {
	instances, err := h.Postfix.Instances(ctx)
	if err != nil {
		return nil, []Finding{cannotAsk(err)}
	}
	var examined postconf.Instances
	if len(instances) == 1 {
		examined = instances
	}
	asking := clients.Asking(h.Config, instances)
	for _, s := range instances.Enabled() {
		switch {
		case len(instances) == 1:
		case slices.ContainsFunc(postconf.ParseTables(s.PolicyMaps), postconf.Table.Asks):
			examined = append(examined, s)
		case len(asking) > 0:
			f := hint(checkPostfix, fmt.Sprintf("none is needed if it sends no mail to other hosts; otherwise postconf -c %s -e %s=...; postfix -c %[1]s reload", s.ConfigDirectory, policyMaps),
				"This instance of Postfix does not ask the daemon for policies, settings in %s", s.ConfigDirectory)
			f.Instance = s.Instance()
			findings = append(findings, f)
		}
	}
	if len(examined) == 0 {
		examined = instances[:1]
	}
	for _, s := range examined {
		command := h.Postfix
		primary := s.ConfigDirectory == instances[0].ConfigDirectory
		if !primary {
			command.ConfigDirectory = s.ConfigDirectory
		}
		found, err := h.instance(ctx, command, s)
		if err != nil {
			return nil, []Finding{cannotAsk(err)}
		}
		for _, f := range found {
			if len(instances) > 1 {
				f.Instance = s.Instance()
			}
			if !primary {
				f.Remedy = strings.NewReplacer("postconf -", "postconf -c "+s.ConfigDirectory+" -",
					"postfix reload", "postfix -c "+s.ConfigDirectory+" reload").Replace(f.Remedy)
			}
			findings = append(findings, f)
		}
	}
	return instances, findings
}

// instance examines the instance of Postfix that command asks, with settings s.
func (h Host) instance(ctx context.Context, command postconf.Command, s postconf.Settings) (findings []Finding, err error) {
	p := postfix{dns: s}
	p.main, err = command.Get(ctx, mailVersion, compatibilityLevel, queueDirectory, mailOwner, relayhost, policyMaps,
		securityLevel, useTLS, enforceTLS, caFile, caPath, connectionReuse, enforceSTSPatterns, tlsrptEnable, tlsrptSocket,
		protocols, mandatoryProtocols, logLevel, proxyReadMaps, bdbMigration, databaseType, cacheDBType)
	if err != nil {
		return nil, err
	}
	if p.services, err = command.Services(ctx); err != nil {
		return nil, err
	}
	return h.postfix(ctx, p), nil
}

// cannotAsk is the finding if Postfix's settings cannot be read.
func cannotAsk(err error) Finding {
	if errors.Is(err, postconf.ErrNotFound) {
		return unknown(checkPostfix, "run doctor where Postfix runs, in its container for example", "There is %v: Postfix was not examined", err)
	}
	return unknown(checkPostfix, "run `postconf -n` and fix what it complains of", "Postfix's settings cannot be read: %v", err)
}

// clients are the services that send mail by SMTP; those with the same settings are one
// client.
func (p postfix) clients() (clients []client) {
	for _, s := range p.services {
		if s.Type != typeUnix || s.Program != serviceSMTP {
			continue
		}
		c := client{services: []string{s.Name}, postfix: p, own: s.Settings, chroot: p.chroots(s)}
		if i := slices.IndexFunc(clients, c.goesBy); i >= 0 {
			clients[i].services = append(clients[i].services, s.Name)
		} else {
			clients = append(clients, c)
		}
	}
	return clients
}

// chroots reports whether s runs in the chroot, whose root is the queue
// directory.
func (p postfix) chroots(s postconf.Service) bool {
	if s.Chroot == byVersion { // y before Postfix 3.0
		return strings.HasPrefix(p.main[compatibilityLevel], "0")
	}
	return s.Chroot == inChroot
}

// service returns the service of that name and type unix.
func (p postfix) service(name string) (postconf.Service, bool) {
	i := slices.IndexFunc(p.services, func(s postconf.Service) bool { return s.Name == name && s.Type == typeUnix })
	if i < 0 {
		return postconf.Service{}, false
	}
	return p.services[i], true
}

// client is one or more services that send mail by SMTP.
type client struct {
	postfix
	services []string
	own      map[string]string // what master.cf sets for them
	chroot   bool
}

// get returns a parameter's value as these services have it.
func (c client) get(name string) string {
	if value, ok := c.own[name]; ok {
		return value
	}
	return c.main[name]
}

// set is the command that sets a parameter for these services.
func (c client) set(name, value string) string {
	command, settings := "postconf -e", []string{name}
	if _, own := c.own[name]; own {
		command, settings = "postconf -P", nil
		for _, service := range c.services {
			settings = append(settings, service+"/"+typeUnix+"/"+name)
		}
	}
	for _, setting := range settings {
		command += " " + shellWord(setting+"="+value)
	}
	return command + "; postfix reload"
}

// shellWord is text as one word of a shell's command.
func shellWord(text string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=,@+"
	if strings.Trim(text, plain) == "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// goesBy reports whether the services of other have the same settings.
func (c client) goesBy(other client) bool {
	for name := range c.main {
		if c.get(name) != other.get(name) {
			return false
		}
	}
	return c.chroot == other.chroot
}

// seen returns the path on this host of a file that the client names, in the
// chroot or not. The client's working directory is the queue directory.
func (c client) seen(path string, inChroot bool) string {
	if inChroot || !filepath.IsAbs(path) {
		return filepath.Join(c.main[queueDirectory], path)
	}
	return filepath.Clean(path)
}

// postfix examines each client. Findings that several have are reported once.
func (h Host) postfix(ctx context.Context, p postfix) []Finding {
	findings := []Finding{well(checkPostfix, "Postfix %s, settings in %s", p.main[mailVersion], p.dns.ConfigDirectory)}
	senders := p.clients()
	if len(senders) == 0 {
		return append(findings, hint(checkPostfix, "if this host should send mail, restore the smtp service in master.cf",
			"No service of master.cf sends mail by SMTP"))
	}
	var all []Finding
	for _, c := range senders {
		for _, f := range slices.Concat(h.policyMaps(ctx, c), postfixAuthorities(c), c.settings(), h.tlsrpt(c)) {
			same := func(other Finding) bool {
				return other.Check == f.Check && other.Severity == f.Severity && other.Text == f.Text && other.Remedy == f.Remedy
			}
			if i := slices.IndexFunc(all, same); i >= 0 {
				all[i].Services = append(all[i].Services, c.services...)
			} else {
				f.Services = slices.Clone(c.services)
				all = append(all, f)
			}
		}
	}
	total := 0
	for _, c := range senders {
		total += len(c.services)
	}
	for i := range all {
		if len(all[i].Services) == total {
			all[i].Services = nil
		}
	}
	return append(findings, all...)
}
