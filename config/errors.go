package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"mta-sts-daemon/resolver/printable"
)

// Error is one error in a configuration. Its message is one line, such as
// "/etc/mta-sts-daemon/config.yaml:12: dns.timeout: reason". All of it apart from
// File is printable ASCII.
type Error struct {
	File   string // or the environment variable; empty for an error of Set
	Line   int    // counts from 1; 0 if the fault has no line
	Key    string // dotted, "dns.timeout"; empty if the fault has no key
	Reason string
}

func (e *Error) Error() string {
	text := e.Reason
	if e.Key != "" {
		text = e.Key + ": " + text
	}
	switch {
	case e.File == "":
		return text
	case e.Line == 0:
		return e.File + ": " + text
	default:
		return fmt.Sprintf("%s:%d: %s", e.File, e.Line, text)
	}
}

// A report collects the errors of one configuration.
type report struct {
	file string
	errs []*Error
}

func (r *report) fail(line int, key, format string, args ...any) {
	r.errs = append(r.errs, &Error{r.file, line, key, fmt.Errorf(format, args...).Error()})
}

// maxErrors bounds what one broken file makes an operator read at once.
const maxErrors = 20

// err joins the errors, sorted by line; nil if r has none.
func (r *report) err() error {
	slices.SortStableFunc(r.errs, func(a, b *Error) int { return cmp.Compare(a.Line, b.Line) })
	var joined []error
	for _, e := range r.errs[:min(len(r.errs), maxErrors)] {
		joined = append(joined, e)
	}
	return errors.Join(joined...)
}

// quote quotes text from the file. Of a URL with a user it repeats only the scheme:
// a password may be in it.
func quote(s string) string {
	if scheme, rest, ok := strings.Cut(s, "://"); ok && strings.Contains(rest, "@") {
		s = scheme + "://..."
	}
	return printable.Quote(s)
}
