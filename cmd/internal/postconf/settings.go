package postconf

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mta-sts-daemon/config"
	"mta-sts-daemon/socketmap"
)

// Names of the parameters that Settings holds, see postconf(5).
const (
	configDirectory      = "config_directory"
	dnsSupportLevel      = "smtp_dns_support_level"
	ignoreMXLookupError  = "ignore_mx_lookup_error"
	tlsSecurityLevel     = "smtp_tls_security_level"
	daneInsecureMXPolicy = "smtp_tls_dane_insecure_mx_policy"
	hostLookup           = "smtp_host_lookup"
	policyMaps           = "smtp_tls_policy_maps"
	queueDirectory       = "queue_directory"
	instanceName         = "multi_instance_name"
	instanceEnable       = "multi_instance_enable"
	instanceDirectories  = "multi_instance_directories"
)

// Settings are the settings of the SMTP client of one instance of Postfix,
// without those of single services in master.cf.
type Settings struct {
	ConfigDirectory string
	// Name is multi_instance_name; "" for most primary instances.
	Name string
	// Enabled is multi_instance_enable: Postfix starts this instance if there are
	// several.
	Enabled bool
	// PolicyMaps is smtp_tls_policy_maps, QueueDirectory is queue_directory.
	PolicyMaps, QueueDirectory string
	// HostLookup is smtp_host_lookup: dns, native or both.
	HostLookup string
	// DNSSupportLevel is smtp_dns_support_level: disabled, enabled or dnssec;
	// "" lets disable_dns_lookups choose between the first two.
	DNSSupportLevel string
	// IgnoreMXLookupError is ignore_mx_lookup_error: Postfix treats a domain
	// whose MX lookup fails as a domain without MX records.
	IgnoreMXLookupError bool
	// TLSSecurityLevel is smtp_tls_security_level; it may be empty.
	TLSSecurityLevel string
	// DANEInsecureMXPolicy is smtp_tls_dane_insecure_mx_policy: may, encrypt or
	// dane; "" if this Postfix does not know it.
	DANEInsecureMXPolicy string

	mainCF os.FileInfo // before the settings were read
}

// Settings reads the Settings. Errors are those of Get, and the system's if main.cf
// cannot be read.
func (c Command) Settings(ctx context.Context) (Settings, error) {
	// main.cf is looked at before it is read, so that a change in between is
	// noticed the next time.
	values, err := c.Get(ctx, configDirectory)
	if err != nil {
		return Settings{}, err
	}
	s := Settings{ConfigDirectory: values[configDirectory]}
	if !filepath.IsAbs(s.ConfigDirectory) {
		return Settings{}, fmt.Errorf("%w: config_directory is %s", ErrOutput, quote(s.ConfigDirectory))
	}
	if s.mainCF, err = os.Stat(s.MainCF()); err != nil {
		return Settings{}, err
	}
	values, err = c.Get(ctx, dnsSupportLevel, ignoreMXLookupError, tlsSecurityLevel, daneInsecureMXPolicy,
		hostLookup, policyMaps, queueDirectory, instanceName, instanceEnable)
	if err != nil {
		return Settings{}, err
	}
	s.DNSSupportLevel = values[dnsSupportLevel]
	s.IgnoreMXLookupError = strings.EqualFold(values[ignoreMXLookupError], "yes")
	s.TLSSecurityLevel = values[tlsSecurityLevel]
	s.DANEInsecureMXPolicy = values[daneInsecureMXPolicy]
	s.HostLookup = values[hostLookup]
	s.PolicyMaps, s.QueueDirectory = values[policyMaps], values[queueDirectory]
	s.Name = values[instanceName]
	s.Enabled = strings.EqualFold(values[instanceEnable], "yes")
	return s, nil
}

// MainCF is the path of the file that the settings come from.
func (s Settings) MainCF() string { return filepath.Join(s.ConfigDirectory, "main.cf") }

// Changed reports whether main.cf is another than when the settings were read,
// so that they should be read again. It costs one stat(2). The zero Settings,
// which were never read, have always changed; so have those whose main.cf is
// gone.
func (s Settings) Changed() bool {
	now, err := os.Stat(s.MainCF())
	return err != nil || s.mainCF == nil || !os.SameFile(now, s.mainCF) ||
		now.Size() != s.mainCF.Size() || !now.ModTime().Equal(s.mainCF.ModTime())
}

// DoesDANE reports whether Postfix looks up TLSA records. If it does not, it
// defers all mail for which a policy map answers dane-only. Treating a failed MX
// lookup as an absence rules DANE out, because Postfix then ignores that the
// domain's MX records may be different.
func (s Settings) DoesDANE() bool {
	const dnssec = "dnssec"
	return strings.EqualFold(s.DNSSupportLevel, dnssec) && !s.IgnoreMXLookupError
}

// MapNames returns the map names by which smtp_tls_policy_maps asks the daemon, none if
// it does not ask it. A tcp table has the name that its listener gives it, which may be
// "".
func (s Settings) MapNames(socketmaps []config.Address, tcpTable []config.TCPTable) (names []socketmap.MapName) {
	for _, t := range ParseTables(s.PolicyMaps) {
		switch t.Kind {
		case TypeSocketmap:
			if t.leadsTo(socketmaps, s.QueueDirectory) {
				names = append(names, socketmap.MapName{Name: t.Name})
			}
		case TypeTCP:
			for _, l := range tcpTable {
				if t.leadsTo([]config.Address{l.Address}, s.QueueDirectory) {
					names = append(names, socketmap.MapName{Name: l.Map, TCP: true})
				}
			}
		}
	}
	return names
}

// LooksUpNative reports whether Postfix finds mail hosts through this host's own
// means too, /etc/hosts for example.
func (s Settings) LooksUpNative() bool {
	const native = "native"
	return slices.ContainsFunc(words(s.HostLookup), func(word string) bool {
		return strings.EqualFold(word, native)
	})
}

// Instance is how messages name the instance: by its name or, if it has none, its
// directory.
func (s Settings) Instance() string { return cmp.Or(s.Name, s.ConfigDirectory) }

// Instances are the settings of all instances of Postfix (postmulti(1)), the
// primary one first.
type Instances []Settings

// Instances reads the settings of the instance that c names and of those that its
// multi_instance_directories lists. Errors are those of Settings.
func (c Command) Instances(ctx context.Context) (Instances, error) {
	primary, err := c.Settings(ctx)
	if err != nil {
		return nil, err
	}
	values, err := c.Get(ctx, instanceDirectories)
	if err != nil {
		return nil, err
	}
	instances := Instances{primary}
	for _, dir := range words(values[instanceDirectories]) {
		other := c
		other.ConfigDirectory = dir
		s, err := other.Settings(ctx)
		if err != nil {
			return nil, fmt.Errorf("instance %s: %w", quote(dir), err)
		}
		instances = append(instances, s)
	}
	return instances, nil
}

// Changed reports whether the main.cf of an instance has changed, see
// Settings.Changed. No Instances have always changed.
func (is Instances) Changed() bool {
	return len(is) == 0 || slices.ContainsFunc(is, Settings.Changed)
}

// Enabled returns the instances that Postfix starts. One alone is always one.
func (is Instances) Enabled() Instances {
	if len(is) < 2 {
		return is
	}
	return slices.DeleteFunc(slices.Clone(is), func(s Settings) bool { return !s.Enabled })
}

// String names the instances.
func (is Instances) String() string {
	var names []string
	for _, s := range is {
		names = append(names, s.Instance())
	}
	return strings.Join(names, ", ")
}

// words are the items of a list, which blanks and commas separate.
func words(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
}
