// Package postconf reads the settings of the Postfix on this host, as its
// postconf(1) tells them.
package postconf

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	command        = "postconf"
	defaultTimeout = 5 * time.Second
)

// Command is a postconf(1) program. The zero Command is the one of this host.
type Command struct {
	// Path is the program; "" looks in PATH and where packages put it.
	Path string
	// Timeout limits one run; 0 is 5 seconds.
	Timeout time.Duration
	// ConfigDirectory is the directory of the main.cf to read, which tells
	// instances of Postfix apart; "" is the primary instance's.
	ConfigDirectory string

	testingOnlyDirs []string // in place of PATH and where packages put it
}

// Get returns the values of parameters by name, with the $names in them expanded:
// main.cf's values or else Postfix's defaults, without the settings of single
// services in master.cf. A parameter that this Postfix does not know is left out;
// therefore postconf runs without -h, which prints values without names.
//
// Errors: ErrNotFound, ErrTimeout, ErrOutput, *ExitError, the system's if the
// program cannot be started, and the cause of ctx.
func (c Command) Get(ctx context.Context, names ...string) (map[string]string, error) {
	path, err := c.find()
	if err != nil {
		return nil, err
	}
	text, err := c.run(ctx, path, append([]string{"-x"}, names...))
	if err != nil {
		return nil, err
	}
	return parse(text, names)
}

// parse reads lines of "name = value". Any other line, or a parameter that was
// not requested, makes the whole output invalid: it is not postconf's.
func parse(text string, names []string) (map[string]string, error) {
	asked := make(map[string]bool)
	for _, name := range names {
		asked[name] = true
	}
	values := make(map[string]string)
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		name = strings.TrimSpace(name)
		if !ok || !asked[name] {
			return nil, fmt.Errorf("%w: %s", ErrOutput, quote(line))
		}
		values[name] = strings.TrimSpace(value)
	}
	return values, nil
}

// packageDirs is where packages put postconf, for a PATH that lacks it.
var packageDirs = [...]string{"/usr/sbin", "/usr/local/sbin", "/usr/lib/postfix/sbin", "/usr/libexec/postfix", "/opt/postfix/sbin"}

func (c Command) find() (string, error) {
	if c.Path != "" {
		return c.Path, nil
	}
	dirs := c.testingOnlyDirs
	if dirs == nil {
		dirs = append(filepath.SplitList(os.Getenv("PATH")), packageDirs[:]...)
	}
	for _, dir := range dirs {
		if !filepath.IsAbs(dir) {
			continue // what lies in the working directory is not Postfix's
		}
		if path, err := exec.LookPath(filepath.Join(dir, command)); err == nil {
			return path, nil
		}
	}
	return "", ErrNotFound
}

func (c Command) run(ctx context.Context, path string, args []string) (string, error) {
	timeout := c.Timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	if c.ConfigDirectory != "" {
		args = append([]string{"-c", c.ConfigDirectory}, args...)
	}
	limited, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("%w: %s did not end within %v", ErrTimeout, path, timeout))
	defer cancel()
	cmd := exec.CommandContext(limited, path, args...)
	cmd.WaitDelay = time.Second // a child of it may hold the pipes
	var stdout, stderr output
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return stdout.String(), nil
	case limited.Err() != nil:
		return "", context.Cause(limited)
	case stdout.full || stderr.full:
		return "", fmt.Errorf("%w: more than %d bytes", ErrOutput, maxOutput)
	case errors.As(err, &exit):
		return "", &ExitError{Path: path, Status: exit.ProcessState.String(), Said: lastLine(stderr.String())}
	}
	return "", err
}
