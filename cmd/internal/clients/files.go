package clients

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"mta-sts-daemon/config"
	"mta-sts-daemon/resolver/authorities"
)

// Keys of the configuration that name files.
const (
	fetchCAFile        = "fetch.ca_file"
	sharedPasswordFile = "cache.shared.password_file"
	sharedCAFile       = "cache.shared.ca_file"
	sharedKeyFile      = "cache.shared.key_file"
)

// maxSecret is the size limit of a file with a password or a key, in bytes.
const maxSecret = 4 << 10

// credentials is where systemd puts the files that a unit names in
// LoadCredential=, while the unit runs.
const credentials = "/run/credentials/"

// ErrCredential says that a file is not there, which may be because the daemon
// does not run.
var ErrCredential = errors.New("the unit needs LoadCredential= for it, and systemd makes it while the daemon runs")

// CheckFiles reads the files that c names as the daemon does when it starts. There
// is an error for each that it could not use, with the key that names it. Warnings
// do not keep the daemon from starting: no authorities, one that cannot be read,
// ErrSharedAuthorities or ErrNoTLS.
func CheckFiles(c config.Config) (faults, warnings []error) {
	roots, badRoots := openAuthorities(fetchCAFile, c.Fetch.CAFile)
	_, badShared, warning := sharedOptions(c.Cache.Shared)
	faults = append([]error{badRoots}, badShared...)
	if badRoots == nil {
		warnings = append(warnings, withKey(fetchCAFile, c.Fetch.CAFile, roots.Problem()))
	}
	warnings = append(warnings, warning)
	isNil := func(err error) bool { return err == nil }
	return slices.DeleteFunc(faults, isNil), slices.DeleteFunc(warnings, isNil)
}

// withKey names the key of a file that err is about, if there is one.
func withKey(key, path string, err error) error {
	if err == nil || path == "" {
		return err
	}
	return fmt.Errorf("%s: %w", key, err)
}

// openAuthorities reads a PEM file of authorities, or the system's if path is
// empty.
func openAuthorities(key, path string) (*authorities.Source, error) {
	s, err := authorities.Open(path)
	if err != nil {
		return nil, fileError(key, path, err)
	}
	return s, nil
}

// loadSecret reads a file that is short and not empty; nil if path is empty. The
// contents of the file are never in an error.
func loadSecret(key, path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	text, err := readBounded(path)
	switch {
	case err != nil:
	case len(bytes.TrimSpace(text)) == 0:
		err = fmt.Errorf("%s is empty", path)
	case len(text) > maxSecret:
		err = fmt.Errorf("%s is longer than %d bytes", path, maxSecret)
	default:
		return text, nil
	}
	return nil, fileError(key, path, err)
}

// readBounded reads no more of a file than shows that it is too long.
func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxSecret+1))
}

// fileError names the key of a file that cannot be used, and says what to do.
func fileError(key, path string, err error) error {
	remedy := errors.New("correct the file or name another")
	switch {
	case errors.Is(err, fs.ErrPermission):
		remedy = errors.New("the daemon's user must be able to read it")
	case errors.Is(err, fs.ErrNotExist) && strings.HasPrefix(path, credentials):
		remedy = ErrCredential
	}
	return fmt.Errorf("%s: %w; %w", key, err, remedy)
}
