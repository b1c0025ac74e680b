package clients

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/prometheus/client_golang/prometheus"

	"mta-sts-daemon/config"
	"mta-sts-daemon/resolver/shared"
)

// maxSecret is the longest file with a password or a key, in octets.
const maxSecret = 4 << 10

// NewShared joins the fleet that c describes; nil where it describes none. What
// the files hold is never in an error, which names the key of the configuration.
// That the servers cannot be reached is none. reg collects the client's metrics.
func NewShared(c config.Shared, reg prometheus.Registerer, logger *slog.Logger) (*shared.Client, error) {
	if c.URL == "" {
		return nil, nil
	}
	o := shared.Options{Prefix: c.Prefix, Timeout: c.Timeout, Logger: logger}
	var err error
	if o.Servers, err = shared.ParseURL(c.URL); err != nil {
		return nil, fmt.Errorf("cache.shared.url: %w", err)
	}
	if c.PasswordFile != "" {
		password, err := readSecret(c.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("cache.shared.password_file: %w", err)
		}
		o.Servers = o.Servers.WithPassword(string(bytes.TrimRight(password, "\r\n")))
	}
	if o.Roots, err = loadRoots(c.CAFile); err != nil {
		return nil, fmt.Errorf("cache.shared.ca_file: %w", err)
	}
	if c.KeyFile != "" {
		text, err := readSecret(c.KeyFile)
		if err == nil {
			o.Key, err = shared.ParseKey(text)
		}
		if err != nil {
			return nil, fmt.Errorf("cache.shared.key_file: %w", err)
		}
	}
	o.Metrics = shared.NewMetrics(reg)
	return shared.New(o), nil
}

func readSecret(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	switch {
	case err != nil:
		return nil, err
	case len(bytes.TrimSpace(text)) == 0:
		return nil, fmt.Errorf("%s is empty", path)
	case len(text) > maxSecret:
		return nil, fmt.Errorf("%s is longer than %d octets", path, maxSecret)
	}
	return text, nil
}
