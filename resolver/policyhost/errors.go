package policyhost

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"sync"
)

// Result is how a fetch ended, in the words of RFC 8460 section 4.3.
type Result string

const (
	ResultOK            Result = "ok"                     // a valid policy
	ResultFetchError    Result = "sts-policy-fetch-error" // no policy to be had
	ResultWebPKIInvalid Result = "sts-webpki-invalid"     // the host's certificate is not valid for it
	ResultPolicyInvalid Result = "sts-policy-invalid"     // a text that is no policy; for those who parse it
)

// FetchError says why there is no policy text. Its message is one line of
// printable ASCII, whatever the policy host sent.
type FetchError struct {
	Host   string // the policy host
	Result Result // ResultFetchError or ResultWebPKIInvalid
	Err    error
}

// newFetchError tells certificate faults from others. One at any address
// counts: it is what the owner of the host must mend.
func newFetchError(host string, err error) *FetchError {
	result := ResultFetchError
	var invalid *tls.CertificateVerificationError
	if errors.As(err, &invalid) {
		result = ResultWebPKIInvalid
	}
	return &FetchError{Host: host, Result: result, Err: err}
}

func (e *FetchError) Error() string {
	return fmt.Sprintf("policy host %s: %s", e.Host, printable(e.Err.Error()))
}

func (e *FetchError) Unwrap() error { return e.Err }

// failures collects what went wrong at several addresses, from several
// goroutines.
type failures struct {
	mu   sync.Mutex
	errs []error
}

func (f *failures) add(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.errs = append(f.errs, err)
}

func (f *failures) join() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return errors.Join(f.errs...)
}

// Limits of a stranger's text in a message, in octets.
const (
	maxQuoted  = 64
	maxMessage = 1000
)

// quote quotes the start of a stranger's text.
func quote(s string) string {
	if len(s) > maxQuoted {
		return fmt.Sprintf("%+q...", s[:maxQuoted])
	}
	return fmt.Sprintf("%+q", s)
}

// printable makes a message of printable ASCII of any, with "; " between
// joined errors. Errors of the standard library hand on what a host sent.
func printable(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case b.Len() >= maxMessage:
			return b.String() + "..."
		case c == '\n':
			b.WriteString("; ")
		case c < ' ' || c > '~':
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
