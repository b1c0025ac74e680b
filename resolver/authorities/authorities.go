// Package authorities reads the certificate authorities that policy hosts are
// verified against: those of a file, or those of the system.
//
// crypto/x509 reads the system's once for each process. A daemon runs for months,
// in which the operating system adds authorities and removes distrusted ones. So
// this package reads them, and reads them again every day.
package authorities

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

const (
	// rereadAfter is how long authorities are used before they are read again, and
	// retryAfter how long if that fails.
	rereadAfter = 24 * time.Hour
	retryAfter  = time.Minute
)

// ErrNone means that the system has no authorities, so that no certificate is
// valid. The caller can go on, but has to report it.
var ErrNone = errors.New("no certificate authorities on this host: install the package ca-certificates, or name a file in fetch.ca_file")

// Source is where authorities are read from. It is safe for concurrent use.
type Source struct {
	path string // "" for the system's

	mu      sync.Mutex // guards what follows
	pool    *x509.CertPool
	problem error
	read    time.Time // the time, by the wall clock, when they were read last
	next    time.Time // when they are to be read again
}

// Open reads the authorities from a PEM file, or has the system's read when they are
// first needed if path is "": that takes milliseconds. It fails if the file cannot be
// read or holds no certificate that can. It does not fail if only some certificates
// cannot be read, or if the system has no authorities: Problem returns that.
func Open(path string) (*Source, error) {
	s := &Source{path: path}
	if path == "" {
		return s, nil
	}
	var err error
	s.pool, s.problem, err = load(path)
	if err != nil {
		return nil, err
	}
	s.wait(rereadAfter)
	return s, nil
}

// wait has the authorities read again after that time.
func (s *Source) wait(d time.Duration) {
	s.read = time.Now().Round(0) // the wall clock: days count while the machine sleeps
	s.next = s.read.Add(d)
}

// Pool returns the authorities, an empty pool if the system has none. It reads them
// again if the last time was a day ago; if that fails, the old ones stay in use.
func (s *Source) Pool() *x509.CertPool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current()
}

// current is Pool for those who hold the lock.
func (s *Source) current() *x509.CertPool {
	now := time.Now().Round(0)
	if !now.Before(s.read) && now.Before(s.next) {
		return s.pool
	}
	pool, problem, err := load(s.path)
	if err == nil && errors.Is(problem, ErrNone) {
		err = problem
	}
	if err != nil && s.pool != nil {
		s.problem = fmt.Errorf("certificate authorities cannot be read again, those from before stay in use: %v", err)
		s.wait(retryAfter)
		return s.pool
	}
	s.pool, s.problem = pool, problem
	s.wait(rereadAfter)
	return s.pool
}

// Problem returns ErrNone, which certificates cannot be read, or why reading them
// again failed; nil if all is well. The operator has to know of it.
func (s *Source) Problem() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pool == nil {
		s.current()
	}
	return s.problem
}

// load reads what Open says. An empty pool comes with the problem ErrNone.
func load(path string) (pool *x509.CertPool, problem, err error) {
	if path == "" {
		pool = system()
		if pool.Equal(x509.NewCertPool()) {
			problem = ErrNone
		}
		return pool, problem, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	pool = x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, nil, fmt.Errorf("%s holds no certificate in PEM form", path)
	}
	if err := unreadable(text); err != nil {
		problem = fmt.Errorf("%s: %w", path, err)
	}
	return pool, problem, nil
}

// unreadable returns which certificates of a PEM file cannot be read, or nil.
func unreadable(text []byte) error {
	begin := []byte("-----BEGIN CERTIFICATE-----")
	var errs []error
	for n, part := range bytes.Split(text, begin)[1:] {
		block, _ := pem.Decode(append(bytes.Clone(begin), part...))
		err := errors.New("malformed PEM")
		if block != nil {
			_, err = x509.ParseCertificate(block.Bytes)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("certificate %d cannot be read and is not used: %w", n+1, err))
		}
	}
	return errors.Join(errs...)
}

// Where systems have their authorities: the first of the files that can be read,
// and all of the directories. Each is a colon-separated list. SSL_CERT_FILE and
// SSL_CERT_DIR, which OpenSSL and crypto/x509 read too, replace them.
const (
	systemFiles = "/etc/ssl/certs/ca-certificates.crt:" + // Debian, Arch Linux, Alpine
		"/etc/pki/tls/certs/ca-bundle.crt:" + // Fedora
		"/etc/ssl/ca-bundle.pem:" + // openSUSE
		"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem:" + // Red Hat
		"/etc/ssl/cert.pem:" + // Alpine, OpenBSD, FreeBSD
		"/usr/local/share/certs/ca-root-nss.crt:" + // FreeBSD
		"/etc/openssl/certs/ca-certificates.crt" // NetBSD
	systemDirectories = "/etc/ssl/certs:/etc/pki/tls/certs:/etc/openssl/certs"
)

// system returns the authorities of the operating system. It ignores files and
// certificates that cannot be read: the operator cannot repair them.
func system() *x509.CertPool {
	if runtime.GOOS == "darwin" || runtime.GOOS == "windows" {
		if pool, err := x509.SystemCertPool(); err == nil {
			return pool // it asks the system at each verification
		}
	}
	c := certificates{pool: x509.NewCertPool(), seen: map[[sha256.Size]byte]bool{}}
	for _, file := range list("SSL_CERT_FILE", systemFiles) {
		if text, err := os.ReadFile(file); err == nil {
			c.add(text)
			break
		}
	}
	for _, dir := range list("SSL_CERT_DIR", systemDirectories) {
		entries, _ := os.ReadDir(dir) // none if it is not there
		for _, entry := range entries {
			path := filepath.Join(dir, entry.Name())
			if target, err := os.Readlink(path); err == nil && filepath.Base(target) == target {
				continue // to another entry, as OpenSSL's hashes are
			}
			if text, err := os.ReadFile(path); err == nil {
				c.add(text)
			}
		}
	}
	return c.pool
}

// certificates are those of files that have most of them in common: a bundle, and a
// directory with the same certificates one by one. Each is parsed once.
type certificates struct {
	pool *x509.CertPool
	seen map[[sha256.Size]byte]bool
}

// add adds the certificates of a PEM file, except those that cannot be read.
func (c *certificates) add(text []byte) {
	for len(text) > 0 {
		block, rest := pem.Decode(text)
		if block == nil {
			return
		}
		if sum := sha256.Sum256(block.Bytes); !c.seen[sum] {
			c.seen[sum] = c.pool.AppendCertsFromPEM(text[:len(text)-len(rest)])
		}
		text = rest
	}
}

func list(variable, otherwise string) []string {
	if value := os.Getenv(variable); value != "" {
		otherwise = value
	}
	return strings.Split(otherwise, ":")
}
