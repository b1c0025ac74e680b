package postconf

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Names of the parameters that Settings holds, see postconf(5).
const (
	configDirectory      = "config_directory"
	dnsSupportLevel      = "smtp_dns_support_level"
	ignoreMXLookupError  = "ignore_mx_lookup_error"
	tlsSecurityLevel     = "smtp_tls_security_level"
	daneInsecureMXPolicy = "smtp_tls_dane_insecure_mx_policy"
)

// Settings are what Postfix's SMTP client goes by, but for what master.cf says
// of one service.
type Settings struct {
	ConfigDirectory string
	// DNSSupportLevel is smtp_dns_support_level: disabled, enabled or dnssec;
	// "" lets disable_dns_lookups choose between the first two.
	DNSSupportLevel string
	// IgnoreMXLookupError is ignore_mx_lookup_error: a domain whose MX records
	// cannot be had is taken for one without any.
	IgnoreMXLookupError bool
	// TLSSecurityLevel is smtp_tls_security_level; "" is none.
	TLSSecurityLevel string
	// DANEInsecureMXPolicy is smtp_tls_dane_insecure_mx_policy: may, encrypt or
	// dane; "" where this Postfix does not know it.
	DANEInsecureMXPolicy string

	mainCF os.FileInfo // before the settings were read
}

// Settings reads the Settings. Errors are those of Get, and the system's where
// main.cf is not to be seen.
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
	values, err = c.Get(ctx, dnsSupportLevel, ignoreMXLookupError, tlsSecurityLevel, daneInsecureMXPolicy)
	if err != nil {
		return Settings{}, err
	}
	s.DNSSupportLevel = values[dnsSupportLevel]
	s.IgnoreMXLookupError = strings.EqualFold(values[ignoreMXLookupError], "yes")
	s.TLSSecurityLevel = values[tlsSecurityLevel]
	s.DANEInsecureMXPolicy = values[daneInsecureMXPolicy]
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

// DoesDANE reports whether Postfix looks up TLSA records: where it does not, it
// defers all mail to which a policy map answers dane-only. Taking a failed MX
// lookup for an absence rules DANE out, because Postfix then ignores that the
// domain's MX records may have said otherwise.
func (s Settings) DoesDANE() bool {
	const dnssec = "dnssec"
	return strings.EqualFold(s.DNSSupportLevel, dnssec) && !s.IgnoreMXLookupError
}
