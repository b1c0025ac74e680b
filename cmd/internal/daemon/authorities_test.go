package daemon

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mta-sts-daemon/cmd/internal/clients"
	"mta-sts-daemon/resolver/authorities"
	"mta-sts-daemon/resolver/resolvertest"
)

// Problems with the authorities are logged once, also those that appear when the
// authorities are read again a day later.
func TestCheckAuthorities(t *testing.T) {
	t.Parallel()
	const unreadable, kept = "certificate 2 cannot be read", "those from before stay in use"
	good := resolvertest.NewCA(t).PEM()
	path := filepath.Join(t.TempDir(), "ca.pem")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(string(good) + "-----BEGIN CERTIFICATE-----\n")
	synctest.Test(t, func(t *testing.T) {
		source, err := authorities.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		d := &daemon{clients: clients.Clients{Authorities: source}, logger: slog.New(slog.NewTextHandler(&log, nil))}
		expect := func(text string, n int) {
			t.Helper()
			d.checkAuthorities()
			if got := strings.Count(log.String(), text); got != n {
				t.Errorf("%q logged %d times, want %d:\n%s", text, got, n, &log)
			}
		}
		expect(unreadable, 1)
		expect(unreadable, 1)
		os.Remove(path)
		time.Sleep(24 * time.Hour)
		expect(kept, 1)
		time.Sleep(time.Minute)
		expect(kept, 1)
		write(string(good))
		time.Sleep(time.Minute)
		expect("level=", 2)
		write(string(good) + "-----BEGIN CERTIFICATE-----\n")
		time.Sleep(24 * time.Hour)
		expect(unreadable, 2)
	})
}
