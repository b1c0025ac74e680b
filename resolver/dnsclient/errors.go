package dnsclient

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Error says that a question could not be answered. The absence of records is an Answer,
// not an Error.
type Error struct {
	Name string // as it was asked for
	Type string // TXT, MX, A, AAAA, CNAME, TLSA, SOA
	// Err is the reason: what each server did, or why the caller gave up.
	Err error
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s %s: %v", e.Type, printable(e.Name), e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// maxQuoted bounds how much of an invalid name a message repeats.
const maxQuoted = 64

// printable quotes a name that is not plain printable ASCII or too long for any
// domain name.
func printable(name string) string {
	const longest = 255 // RFC 1035 section 3.1
	strange := func(r rune) bool { return r <= ' ' || r > '~' || r == '"' }
	switch {
	case len(name) > longest:
		return fmt.Sprintf("%+q...", name[:maxQuoted])
	case name == "" || strings.ContainsFunc(name, strange):
		return fmt.Sprintf("%+q", name)
	}
	return name
}

// timeoutError is the fault of a server that had not answered at the time limit.
type timeoutError time.Duration

func (s timeoutError) Error() string { return fmt.Sprintf("no answer within %v", time.Duration(s)) }

// rcodeError is a reply that says neither yes nor no.
type rcodeError int

func (rcode rcodeError) Error() string {
	if text, ok := dns.RcodeToString[int(rcode)]; ok {
		return text
	}
	return fmt.Sprintf("RCODE %d", int(rcode))
}

// serverError is what one server did wrong.
type serverError struct {
	server netip.AddrPort
	err    error
}

func (e *serverError) Error() string {
	err := e.err
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		err = op.Err // without the addresses, of which one is said already
	}
	return fmt.Sprintf("%v: %v", e.server, err)
}

func (e *serverError) Unwrap() error { return e.err }

// serverErrors is what every server did wrong, in one line.
type serverErrors []error

func (errs serverErrors) Error() string {
	var text []string
	for _, err := range errs {
		text = append(text, err.Error())
	}
	return strings.Join(text, "; ")
}

func (errs serverErrors) Unwrap() []error { return errs }
