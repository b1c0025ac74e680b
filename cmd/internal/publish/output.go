package publish

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"mta-sts-daemon/cmd/internal/layout"
	"mta-sts-daemon/resolver/mtasts"
)

// The files of a publication, and the directory that web servers serve.
const (
	webRoot    = "www"
	nginxFile  = "nginx.conf"
	caddyFile  = "Caddyfile"
	recordFile = "records.zone"
	planFile   = "PLAN.txt"
)

// nginxServer is a server block for the policy host. It answers for nothing but the policy.
func nginxServer(d mtasts.Domain, directory string) string {
	host := d.PolicyHost()
	return fmt.Sprintf(`server {
	listen 443 ssl;
	listen [::]:443 ssl;
	server_name %[1]s;
	ssl_certificate /etc/letsencrypt/live/%[1]s/fullchain.pem;
	ssl_certificate_key /etc/letsencrypt/live/%[1]s/privkey.pem;
	location = %[3]s {
		root %[2]s;
		types {}
		default_type text/plain;
	}
	location / {
		return 404;
	}
}
`, host, filepath.Join(directory, webRoot), policyPath)
}

// caddySite is the same for Caddy, which gets the certificate by itself.
func caddySite(d mtasts.Domain, directory string) string {
	return fmt.Sprintf(`%s {
	root * %s
	@policy path %s
	handle @policy {
		header Content-Type text/plain
		file_server
	}
	handle {
		respond 404
	}
}
`, d.PolicyHost(), filepath.Join(directory, webRoot), policyPath)
}

// Print lays the publication out to be read.
func (p *Publication) Print(page layout.Page) error {
	var b strings.Builder
	p.printFindings(&b)
	if len(p.Refused) > 0 {
		_, err := page.Write([]byte(b.String()))
		return err
	}
	section := func(title, text string) {
		fmt.Fprintf(&b, "# %s\n\n%s\n", title, strings.ReplaceAll(text, "\r\n", "\n"))
	}
	section("Policy, to be served at https://mta-sts."+p.Domain+policyPath, p.Policy)
	section("DNS records", strings.Join(p.Records, "\n")+"\n")
	section("Plan for "+p.Domain+", stage "+string(p.Stage), p.planText())
	section("nginx", p.Nginx)
	section("Caddy", p.Caddy)
	_, err := page.Write([]byte(b.String()))
	return err
}

func (p *Publication) printFindings(b *strings.Builder) {
	for _, f := range p.Refused {
		fmt.Fprintf(b, "%s: refused: %s\n", p.Domain, f.String())
	}
	for _, f := range p.Unverified {
		fmt.Fprintf(b, "%s: not verified: %s\n", p.Domain, f.String())
	}
	if len(p.Refused)+len(p.Unverified) > 0 {
		b.WriteString("\n")
	}
}

func (p *Publication) planText() string {
	var b strings.Builder
	for i, step := range p.Plan {
		fmt.Fprintf(&b, "%d. %s\n", i+1, step)
	}
	return b.String()
}

// Write writes the publication into directory, which is made if it is missing. Files of
// an earlier stage are replaced, each in one piece: a web server may be serving them.
// kept are configurations of the web server that were changed; they stay as they are. Write
// fails if one does not name the policy host: the directory is another domain's, or that of
// the web server itself.
func (p *Publication) Write(directory string) (files, kept []string, err error) {
	for name, text := range map[string]string{nginxFile: p.Nginx, caddyFile: p.Caddy} {
		path := filepath.Join(directory, name)
		there, err := os.ReadFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist), err == nil && string(there) == text:
		case err != nil:
			return nil, nil, err // it may be another domain's
		case !names(string(there), "mta-sts."+p.Domain):
			return nil, nil, fmt.Errorf("%s is there and does not name mta-sts.%s: nothing was written; name another directory", path, p.Domain)
		default:
			kept = append(kept, path)
		}
	}
	slices.Sort(kept)
	for _, f := range []struct{ name, text string }{
		{filepath.Join(webRoot, filepath.FromSlash(policyPath)), p.Policy},
		{recordFile, strings.Join(p.Records, "\n") + "\n"},
		{nginxFile, p.Nginx},
		{caddyFile, p.Caddy},
		{planFile, p.planText()},
	} {
		path := filepath.Join(directory, f.name)
		if slices.Contains(kept, path) {
			continue
		}
		if err := makeDir(filepath.Dir(path)); err != nil {
			return files, kept, err
		}
		if err := replace(path, f.text); err != nil {
			return files, kept, err
		}
		files = append(files, path)
	}
	return files, kept, nil
}

// names reports whether the host is a word of text.
func names(text, host string) bool {
	return slices.Contains(strings.FieldsFunc(text, func(r rune) bool {
		return r != '.' && r != '-' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}), host)
}

// makeDir makes a directory that anyone may enter, whatever the umask is, and those above it
// that are missing. Existing ones keep their mode.
func makeDir(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := makeDir(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	return os.Chmod(dir, 0o755)
}

// replace writes a file that anyone may read, in one piece.
func replace(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // does nothing once it is renamed
	_, err = f.WriteString(text)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
