package postconf

import (
	"errors"
	"fmt"
	"strings"

	"mta-sts-daemon/resolver/printable"
)

var (
	// ErrNotFound means that there is no postconf, so most likely no Postfix on
	// this host. The caller continues without Postfix's settings.
	ErrNotFound = errors.New("no postconf(1) on this host")
	// ErrTimeout: postconf hangs and was ended. The caller goes on without the
	// settings, or with the last ones, and tells the operator.
	ErrTimeout = errors.New("postconf hangs")
	// ErrOutput means that the output is not postconf's; another program may have
	// the name. The caller continues as for ErrTimeout.
	ErrOutput = errors.New("postconf printed something else than parameters")
)

// ExitError means that postconf failed, most often because main.cf cannot be read
// or has an error; postconf's message names the file. The caller continues as for
// ErrTimeout.
type ExitError struct {
	Path   string // of the program
	Status string // "exit status 1"
	Said   string // the last line on its standard error, quoted and bounded
}

func (e *ExitError) Error() string {
	if e.Said == "" {
		return fmt.Sprintf("%s: %s", e.Path, e.Status)
	}
	return fmt.Sprintf("%s: %s: %s", e.Path, e.Status, e.Said)
}

// maxQuoted limits the part of postconf's message that an error repeats, in
// bytes.
const maxQuoted = 200

// quote quotes a line that postconf printed.
func quote(line string) string { return printable.QuoteUpTo(strings.TrimSpace(line), maxQuoted) }

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	if text == "" {
		return ""
	}
	return quote(text[strings.LastIndexByte(text, '\n')+1:])
}
