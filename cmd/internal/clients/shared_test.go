package clients

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"mta-sts-daemon/config"
)

// The error names the keys that are at fault and repeats no secret.
func TestNewSharedBad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string { return writeFile(t, dir, name, text) }
	const mend = "; correct the file or name another"
	for _, tc := range []struct {
		name   string
		change func(*config.Shared)
		want   string
	}{
		{"URL", func(c *config.Shared) { c.URL = "secret" }, "cache.shared.url: it begins with none of redis://, rediss://, redis+sentinel://, rediss+sentinel://, redis+cluster://, rediss+cluster://"},
		{"empty password", func(c *config.Shared) { c.PasswordFile = write("empty", "\n") }, "cache.shared.password_file: " + dir + "/empty is empty" + mend},
		{"endless password", func(c *config.Shared) { c.PasswordFile = "/dev/zero" }, "cache.shared.password_file: /dev/zero is longer than 4096 bytes" + mend},
		{"no certificate", func(c *config.Shared) { c.CAFile = write("ca", "secret") }, "cache.shared.ca_file: " + dir + "/ca holds no certificate in PEM form" + mend},
		{"short key", func(c *config.Shared) { c.KeyFile = write("short", "secret") }, "cache.shared.key_file: " + dir + `/short: the key has 6 bytes, fewer than 32: make one with "openssl rand -hex 32"` + mend},
		{"key that is a directory", func(c *config.Shared) { c.KeyFile = dir }, "cache.shared.key_file: read " + dir + ": is a directory" + mend},
		{"nothing there", func(c *config.Shared) {
			c.PasswordFile, c.CAFile, c.KeyFile = dir+"/1", dir+"/2", "/run/credentials/none.service/key"
		}, "cache.shared.password_file: open " + dir + "/1: no such file or directory" + mend + "\n" +
			"cache.shared.ca_file: open " + dir + "/2: no such file or directory" + mend + "\n" +
			"cache.shared.key_file: open /run/credentials/none.service/key: no such file or directory; " + ErrCredential.Error()},
	} {
		c := config.Default()
		c.Cache.Shared.URL = "redis://user:secret@127.0.0.1:1"
		tc.change(&c.Cache.Shared)
		client, err := NewShared(c.Cache.Shared, nil, nil, slog.New(slog.DiscardHandler))
		if err == nil {
			client.Close()
		}
		if err == nil || err.Error() != tc.want {
			t.Errorf("%s: %v, want %s", tc.name, err, tc.want)
		}
		faults, _ := CheckFiles(c)
		if err := errors.Join(faults...); err == nil || err.Error() != tc.want {
			t.Errorf("%s: CheckFiles: %v, want %s", tc.name, err, tc.want)
		}
	}
}

// Servers that cannot be reached are not an error.
func TestNewSharedGood(t *testing.T) {
	t.Parallel()
	c := config.Default().Cache.Shared
	if client, err := NewShared(c, nil, nil, slog.New(slog.DiscardHandler)); client != nil || err != nil {
		t.Errorf("without a URL: %v, %v", client, err)
	}
	dir := t.TempDir()
	c.URL = "redis://user@127.0.0.1:1"
	c.PasswordFile, c.KeyFile = writeFile(t, dir, "password", "a b\n"), writeFile(t, dir, "key", strings.Repeat("k", 32)+"\n")
	client, err := NewShared(c, nil, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	client.Close()
}
