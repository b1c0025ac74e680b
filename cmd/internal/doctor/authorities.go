package doctor

import (
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"regexp"
)

const everyEnforced = "mail to every domain with an enforced policy is deferred"

// postfixAuthorities examines the certificate authorities of the client: without any,
// no certificate is good, and every answer `secure` defers mail. tls_append_default_CA only
// adds to the two parameters.
func postfixAuthorities(c client) (findings []Finding) {
	remedy := c.set(caFile, "/etc/ssl/certs/ca-certificates.crt")
	file, dir := c.get(caFile), c.get(caPath)
	if file == "" && dir == "" {
		return []Finding{problem(checkAuthorities, remedy, "smtp_tls_CAfile and smtp_tls_CApath are empty: %s", everyEnforced)}
	}
	if file != "" {
		findings = append(findings, caFileFinding(file, remedy))
	}
	if dir != "" {
		findings = append(findings, caPathFinding(c, dir, remedy))
	}
	return findings
}

// caFileFinding: Postfix reads the file while it is root and not yet in its chroot. If
// it cannot, smtp_tls_CApath does not help.
func caFileFinding(path, remedy string) Finding {
	const noTLS = "Postfix does no TLS at all: enforced policies defer mail, other mail is sent without TLS"
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return unknown(checkAuthorities, remedyOfPermissions, "smtp_tls_CAfile cannot be read: %v", err)
	case err != nil:
		return problem(checkAuthorities, remedy, "smtp_tls_CAfile cannot be read: %v. "+noTLS, err)
	case !x509.NewCertPool().AppendCertsFromPEM(text):
		return problem(checkAuthorities, remedy, "smtp_tls_CAfile = %s holds no certificate. "+noTLS, path)
	}
	return well(checkAuthorities, "smtp_tls_CAfile = %s", path)
}

// hashed is the name under which OpenSSL looks for an authority, see c_rehash(1).
var hashed = regexp.MustCompile(`^[0-9a-f]{8}\.[0-9]+$`)

// caPathFinding: Postfix reads the directory when it verifies a certificate, in its
// chroot by then.
func caPathFinding(c client, named, remedy string) Finding {
	path := c.seen(named, c.chroot)
	entries, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrPermission) {
		return unknown(checkAuthorities, remedyOfPermissions, "smtp_tls_CApath cannot be read: %v", err)
	}
	for _, e := range entries {
		if hashed.MatchString(e.Name()) {
			return well(checkAuthorities, "smtp_tls_CApath = %s", named)
		}
	}
	if c.get(caFile) != "" {
		return hint(checkAuthorities, c.set(caPath, ""),
			"smtp_tls_CApath = %s, for Postfix's smtp client %s, has no authorities: only those of smtp_tls_CAfile count", named, path)
	}
	return problem(checkAuthorities, remedy,
		"smtp_tls_CApath = %s, for Postfix's smtp client %s, has no authorities: %s", named, path, everyEnforced)
}
