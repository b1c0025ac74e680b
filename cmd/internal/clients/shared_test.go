package clients

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mta-sts-daemon/config"
)

// The error names the key that is at fault and repeats no secret.
func TestNewSharedBad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	missing := filepath.Join(dir, "missing")
	for _, tc := range []struct {
		name   string
		change func(*config.Shared)
		want   string
	}{
		{"URL", func(c *config.Shared) { c.URL = "secret" }, "cache.shared.url: it begins with none of redis://, rediss://, redis+sentinel://, rediss+sentinel://, redis+cluster://, rediss+cluster://"},
		{"no password", func(c *config.Shared) { c.PasswordFile = missing }, "cache.shared.password_file: open " + missing + ": no such file or directory"},
		{"empty password", func(c *config.Shared) { c.PasswordFile = write("empty", "\n") }, "cache.shared.password_file: " + dir + "/empty is empty"},
		{"endless password", func(c *config.Shared) { c.PasswordFile = "/dev/zero" }, "cache.shared.password_file: /dev/zero is longer than 4096 octets"},
		{"no authorities", func(c *config.Shared) { c.CAFile = missing }, "cache.shared.ca_file: open " + missing + ": no such file or directory"},
		{"no key", func(c *config.Shared) { c.KeyFile = missing }, "cache.shared.key_file: open " + missing + ": no such file or directory"},
		{"short key", func(c *config.Shared) { c.KeyFile = write("short", "secret") }, `cache.shared.key_file: the key has 6 octets, fewer than 32: make one with "openssl rand -hex 32"`},
		{"key that is a directory", func(c *config.Shared) { c.KeyFile = dir }, "cache.shared.key_file: read " + dir + ": is a directory"},
	} {
		c := config.Default().Cache.Shared
		c.URL = "redis://user:secret@127.0.0.1:1"
		tc.change(&c)
		client, err := NewShared(c, nil, slog.New(slog.DiscardHandler))
		if err == nil {
			client.Close()
		}
		if err == nil || err.Error() != tc.want {
			t.Errorf("%s: %v, want %s", tc.name, err, tc.want)
		}
	}
}

// Servers that are not there are no error.
func TestNewSharedGood(t *testing.T) {
	t.Parallel()
	c := config.Default().Cache.Shared
	if client, err := NewShared(c, nil, slog.New(slog.DiscardHandler)); client != nil || err != nil {
		t.Errorf("without a URL: %v, %v", client, err)
	}
	dir := t.TempDir()
	c.URL = "redis://user@127.0.0.1:1"
	c.PasswordFile, c.KeyFile = filepath.Join(dir, "password"), filepath.Join(dir, "key")
	for path, text := range map[string]string{c.PasswordFile: "a b\n", c.KeyFile: strings.Repeat("k", 32) + "\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	client, err := NewShared(c, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	client.Close()
}
