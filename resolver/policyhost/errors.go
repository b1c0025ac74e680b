package policyhost

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"

	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/printable"
)

// Result is how a fetch ended, in the words of RFC 8460 section 4.3.
type Result string

const (
	ResultOK            Result = "ok"                     // a valid policy
	ResultFetchError    Result = "sts-policy-fetch-error" // the policy could not be fetched
	ResultWebPKIInvalid Result = "sts-webpki-invalid"     // the host's certificate is not valid for it
	ResultPolicyInvalid Result = "sts-policy-invalid"     // the text is not a valid policy
)

// Fault names the side that has to repair what made a fetch fail.
type Fault int

const (
	// FaultPublisher: the policy host, its DNS records or its policy are at fault,
	// and their owner has to repair them. It is the zero Fault: a failure counts
	// against the publisher unless another cause is known.
	FaultPublisher Fault = iota
	// FaultLoad: this side refused the fetch because too many others were under
	// way. It says nothing of the policy host. Try again later.
	FaultLoad
	// FaultLocal: this side is at fault. It has no route to any usable address of
	// the host, no certificate authorities, a proxy that does not work, too few
	// file descriptors, or the caller gave up.
	FaultLocal
	// FaultDNS: the DNS failed to say the addresses of the host. That a host has
	// no addresses is the publisher's fault.
	FaultDNS
)

// String returns one word, for logs and metrics.
func (f Fault) String() string {
	switch f {
	case FaultPublisher:
		return "publisher"
	case FaultLoad:
		return "load"
	case FaultLocal:
		return "local"
	case FaultDNS:
		return "dns"
	}
	return "invalid"
}

// FetchError says why a policy could not be fetched. Its message is one line of
// printable ASCII, whatever the policy host sent. errors.Is(err, ErrBusy) holds
// if and only if Fault is FaultLoad.
type FetchError struct {
	Host   string // the policy host
	Result Result // ResultFetchError or ResultWebPKIInvalid
	Fault  Fault
	// Answered is set if a connection to the host was made and its certificate is
	// valid, so that only the host's response, or its absence, can be at fault.
	Answered bool
	Err      error // of several addresses: joined
}

// maxMessage limits the reason in the message of a FetchError, in bytes.
const maxMessage = 1000

func (e *FetchError) Error() string {
	return fmt.Sprintf("policy host %s: %s", e.Host, printable.Line(strings.ReplaceAll(e.Err.Error(), "\n", "; "), maxMessage))
}

// Unwrap returns Err and, if the fetch was refused for load, ErrBusy.
func (e *FetchError) Unwrap() []error {
	if e.Fault == FaultLoad {
		return []error{ErrBusy, e.Err}
	}
	return []error{e.Err}
}

// Classify returns the result in RFC 8460's words, and the fault, of an error that
// Fetch returned, or mtasts.ParsePolicy for a fetched text. ResultOK, for nil, has
// no fault.
func Classify(err error) (Result, Fault) {
	if err == nil {
		return ResultOK, FaultPublisher
	}
	if fetch, ok := errors.AsType[*FetchError](err); ok {
		return fetch.Result, fetch.Fault
	}
	if _, ok := errors.AsType[*mtasts.SyntaxError](err); ok {
		return ResultPolicyInvalid, FaultPublisher
	}
	return ResultFetchError, FaultPublisher
}

// Answered reports whether a fetch, or the parsing of what it returned, ended with err
// after the policy host's certificate was accepted.
func Answered(err error) bool {
	if fetch, ok := errors.AsType[*FetchError](err); ok {
		return fetch.Answered
	}
	result, _ := Classify(err)
	return result == ResultOK || result == ResultPolicyInvalid
}

// DependsOnClock reports whether a fetch failed because, by this host's clock, the policy
// host's certificate has expired or is not valid yet.
func DependsOnClock(err error) bool {
	invalid, ok := errors.AsType[x509.CertificateInvalidError](err)
	return ok && invalid.Reason == x509.Expired
}

// faultError is an error whose fault is known. An error without one is the
// publisher's fault; of several, the outermost counts.
type faultError struct {
	fault Fault
	error
}

func (e *faultError) Unwrap() error { return e.error }

func faultOf(err error) Fault {
	if e, ok := errors.AsType[*faultError](err); ok {
		return e.fault
	}
	return FaultPublisher
}

// newFetchError takes fault and result from err.
func newFetchError(host string, err error) *FetchError {
	e := &FetchError{Host: host, Result: ResultFetchError, Fault: faultOf(err), Err: err}
	// A certificate fault at any address counts: its owner has to repair it.
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		e.Result = ResultWebPKIInvalid
	}
	return e
}

// orCause returns the cause of ctx's end in place of err, which that end brought
// about. The caller's giving up is FaultLocal; a time limit is not.
func orCause(ctx context.Context, err error) error {
	switch ctx.Err() {
	case nil:
		return err
	case context.Canceled:
		return &faultError{FaultLocal, context.Cause(ctx)}
	}
	return context.Cause(ctx)
}

// localErrors are those of a connect that this host is the cause of.
var localErrors = []error{
	syscall.ENETUNREACH, syscall.ENETDOWN, syscall.EADDRNOTAVAIL, syscall.EAFNOSUPPORT, // no route
	syscall.EACCES, syscall.EPERM, // a local firewall
	syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM,
}

// isLocal returns whether a connect failed because of this host.
func isLocal(err error) bool {
	for _, local := range localErrors {
		if errors.Is(err, local) {
			return true
		}
	}
	return false
}

// outcomes are those of the attempts at several addresses, from several
// goroutines.
type outcomes struct {
	mu     sync.Mutex
	states []attemptState // by address
	errs   []error        // of those that failed, in the order in which they did
}

// attemptState is how far the attempt at one address has come.
type attemptState int

const (
	notStarted attemptState = iota
	waiting                 // for a place at the address
	connecting              // until it has failed, or a verified connection
	failedPublisher
	failedLoad
	failedLocal
)

func (o *outcomes) set(i int, s attemptState) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.states[i] = s
}

func (o *outcomes) failed(i int, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.errs = append(o.errs, err)
	switch faultOf(err) {
	case FaultLoad:
		o.states[i] = failedLoad
	case FaultLocal:
		o.states[i] = failedLocal
	default:
		o.states[i] = failedPublisher
	}
}

// join makes one error of all; cause is why the attempts ended before their time,
// nil if they did not. A publisher's fault at any address outweighs load: the host
// has to be repaired whatever the others do. Load outweighs a local fault: the
// policy may be at the address that was not tried.
func (o *outcomes) join(cause error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	errs := slices.Clone(o.errs)
	has := func(s attemptState) bool { return slices.Contains(o.states, s) }
	publisher, load := has(failedPublisher), has(failedLoad)
	if cause != nil {
		errs = append(errs, cause)
		publisher, load = publisher || has(connecting), load || has(waiting)
	}
	fault := FaultPublisher
	switch {
	case faultOf(cause) == FaultLocal: // the caller gave up
		fault = FaultLocal
	case publisher:
	case load:
		fault = FaultLoad
	case has(failedLocal):
		fault = FaultLocal
	}
	return &faultError{fault, errors.Join(errs...)}
}
