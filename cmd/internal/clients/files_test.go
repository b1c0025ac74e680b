package clients

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mta-sts-daemon/config"
	"mta-sts-daemon/resolver/resolvertest"
)

// writeFile returns the path of a file with that text.
func writeFile(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCheckFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	authorities := writeFile(t, dir, "ca.pem", string(resolvertest.NewCA(t).PEM()))
	missing := filepath.Join(dir, "missing")
	for _, tc := range []struct {
		name   string
		change func(*config.Config)
		want   []string // how each fault begins
	}{
		{"default", func(*config.Config) {}, nil},
		{"authorities", func(c *config.Config) { c.Fetch.CAFile = authorities }, nil},
		{"all of the shared store", func(c *config.Config) {
			c.Cache.Shared.URL, c.Cache.Shared.CAFile = "rediss://kv.example", authorities
			c.Cache.Shared.PasswordFile = writeFile(t, dir, "password", "p")
			c.Cache.Shared.KeyFile = writeFile(t, dir, "key", strings.Repeat("k", 32))
		}, nil},
		{"no shared store", func(c *config.Config) { c.Cache.Shared.KeyFile = missing }, nil},
		{"no authorities", func(c *config.Config) { c.Fetch.CAFile = missing }, []string{"fetch.ca_file: open " + missing}},
		{"two at once", func(c *config.Config) {
			c.Fetch.CAFile = writeFile(t, dir, "text", "no certificate")
			c.Cache.Shared.URL, c.Cache.Shared.KeyFile = "redis://kv.example", missing
		}, []string{"fetch.ca_file: " + dir + "/text holds no certificate", "cache.shared.key_file: open " + missing}},
	} {
		cfg := config.Default()
		tc.change(&cfg)
		faults, _ := CheckFiles(cfg)
		if len(faults) != len(tc.want) {
			t.Errorf("%s: %v", tc.name, faults)
			continue
		}
		for i, want := range tc.want {
			if !strings.HasPrefix(faults[i].Error(), want) {
				t.Errorf("%s: %q, want %q", tc.name, faults[i], want)
			}
		}
	}
}

// A certificate that cannot be read is only a warning, because the others can be
// used.
func TestCheckFilesWarns(t *testing.T) {
	t.Parallel()
	path := writeFile(t, t.TempDir(), "ca.pem", string(resolvertest.NewCA(t).PEM())+"-----BEGIN CERTIFICATE-----\n")
	cfg := config.Default()
	cfg.Fetch.CAFile = path
	cfg.Cache.Shared.URL, cfg.Cache.Shared.CAFile = "rediss://kv.example", path
	faults, warnings := CheckFiles(cfg)
	const what = ": certificate 2 cannot be read and is not used: malformed PEM"
	want := []string{"fetch.ca_file: " + path + what, "cache.shared.ca_file: " + path + what + "; " + ErrSharedAuthorities.Error()}
	if len(faults) != 0 || len(warnings) != 2 || warnings[0].Error() != want[0] || warnings[1].Error() != want[1] {
		t.Errorf("faults %v, warnings %v, want %v", faults, warnings, want)
	}
}

func TestCheckFilesWarnsOfNoTLS(t *testing.T) {
	t.Parallel()
	path := writeFile(t, t.TempDir(), "ca.pem", string(resolvertest.NewCA(t).PEM()))
	for url, want := range map[string]bool{"": false, "redis://kv.example": true, "redis+cluster://kv.example": true, "rediss://kv.example": false} {
		cfg := config.Default()
		cfg.Fetch.CAFile = path
		cfg.Cache.Shared.URL, cfg.Cache.Shared.CAFile = url, path
		faults, warnings := CheckFiles(cfg)
		if len(faults) != 0 || errors.Is(errors.Join(warnings...), ErrNoTLS) != want {
			t.Errorf("%q: faults %v, warnings %v", url, faults, warnings)
		}
	}
}

func TestFileError(t *testing.T) {
	t.Parallel()
	const key, path = "fetch.ca_file", "/etc/ca.pem"
	err := fileError(key, path, &fs.PathError{Op: "open", Path: path, Err: fs.ErrPermission})
	const want = "fetch.ca_file: open /etc/ca.pem: permission denied; the daemon's user must be able to read it"
	if !errors.Is(err, fs.ErrPermission) || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
