package doctor

import (
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"regexp"
)

// postfixAuthorities looks at whom Postfix trusts: without authorities no certificate
// is good, and every answer `secure` defers mail. tls_append_default_CA only
// adds to what the two parameters name.
func postfixAuthorities(c client) []Finding {
	const remedy = "postconf -e smtp_tls_CAfile=/etc/ssl/certs/ca-certificates.crt; postfix reload"
	file, dir := c.get(caFile), c.get(caPath)
	switch {
	case file != "":
		return []Finding{caFileFinding(file, remedy)}
	case dir != "":
		return []Finding{caPathFinding(dir, c.seen(dir, c.jailed), remedy)}
	}
	return []Finding{problem(checkAuthorities, remedy,
		"smtp_tls_CAfile and smtp_tls_CApath are empty: mail to every domain with an enforced policy is deferred")}
}

// caFileFinding: Postfix reads the file before it goes into its jail and while
// it is root.
func caFileFinding(path, remedy string) Finding {
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return unknown(checkAuthorities, remedyOfPermissions, "smtp_tls_CAfile cannot be read: %v", err)
	case err != nil:
		return problem(checkAuthorities, remedy,
			"smtp_tls_CAfile cannot be read: %v. Postfix does no TLS at all: enforced policies defer mail, other mail goes in the clear", err)
	case !x509.NewCertPool().AppendCertsFromPEM(text):
		return problem(checkAuthorities, remedy,
			"smtp_tls_CAfile = %s holds no certificate. Postfix does no TLS at all: enforced policies defer mail, other mail goes in the clear", path)
	}
	return well(checkAuthorities, "smtp_tls_CAfile = %s", path)
}

// hashed is the name under which OpenSSL looks for an authority, see c_rehash(1).
var hashed = regexp.MustCompile(`^[0-9a-f]{8}\.[0-9]+$`)

// caPathFinding: Postfix looks into the directory when it has a certificate
// before it, in its jail by then.
func caPathFinding(named, path, remedy string) Finding {
	entries, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrPermission) {
		return unknown(checkAuthorities, remedyOfPermissions, "smtp_tls_CApath cannot be read: %v", err)
	}
	for _, e := range entries {
		if hashed.MatchString(e.Name()) {
			return well(checkAuthorities, "smtp_tls_CApath = %s", named)
		}
	}
	return problem(checkAuthorities, remedy,
		"smtp_tls_CApath = %s, to Postfix's smtp client %s, has no authorities: mail to every domain with an enforced policy is deferred", named, path)
}
