package clients

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"mta-sts-daemon/config"
	"mta-sts-daemon/resolver/authorities"
	"mta-sts-daemon/resolver/shared"
	"mta-sts-daemon/resolver/shared/storeurl"
)

// NewShared returns a client of the shared store that c describes; nil if it
// describes none. Errors name the keys of the configuration that are at fault,
// and never have the contents of its files. Servers that cannot be reached are
// not an error. reg collects the client's metrics.
func NewShared(c config.Shared, purges shared.Purges, reg prometheus.Registerer, logger *slog.Logger) (*shared.Client, error) {
	if c.URL == "" {
		return nil, nil
	}
	o, faults, _ := sharedOptions(c)
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	o.Logger, o.Metrics, o.Purges = logger, shared.NewMetrics(reg), purges
	return shared.New(o), nil
}

// ErrNoTLS says that certificate authorities are named for a shared store without TLS.
var ErrNoTLS = errors.New("has no effect: cache.shared.url begins with redis, so passwords and policies go unencrypted; write rediss in its place")

// ErrSharedAuthorities says that a certificate authority for a shared store cannot be read.
var ErrSharedAuthorities = errors.New("servers of the shared store that need it cannot be verified")

// sharedOptions reads the files that c names, none if it has no URL. Some of faults
// may be nil. warning is ErrNoTLS or ErrSharedAuthorities.
func sharedOptions(c config.Shared) (o shared.Options, faults []error, warning error) {
	if c.URL == "" {
		return o, nil, nil
	}
	servers, badURL := storeurl.Parse(c.URL)
	if badURL != nil {
		badURL = fmt.Errorf("cache.shared.url: %w", badURL)
	}
	password, badPassword := loadSecret(sharedPasswordFile, c.PasswordFile)
	if password != nil {
		servers.Password = string(bytes.TrimRight(password, "\r\n"))
	}
	var roots *x509.CertPool // nil for the system's
	var badRoots error
	if c.CAFile != "" {
		var source *authorities.Source
		if source, badRoots = openAuthorities(sharedCAFile, c.CAFile); badRoots == nil {
			roots = source.Pool()
			if problem := source.Problem(); problem != nil {
				warning = fmt.Errorf("%s: %w; %w", sharedCAFile, problem, ErrSharedAuthorities)
			}
		}
	}
	if c.CAFile != "" && badURL == nil && !servers.TLS {
		warning = fmt.Errorf("%s: %w", sharedCAFile, ErrNoTLS)
	}
	key, badKey := loadKey(c.KeyFile)
	return shared.Options{Servers: servers, Roots: roots, Key: key, Prefix: c.Prefix, Timeout: c.Timeout},
		[]error{badURL, badPassword, badRoots, badKey}, warning
}

// loadKey reads the key that authenticates shared values; nil if there is no key file.
func loadKey(path string) ([]byte, error) {
	text, err := loadSecret(sharedKeyFile, path)
	if text == nil {
		return nil, err
	}
	key, err := shared.ParseKey(text)
	if err != nil {
		return nil, fileError(sharedKeyFile, path, fmt.Errorf("%s: %w", path, err))
	}
	return key, nil
}
