package e2e

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"mta-sts-daemon/resolver/resolvertest"
)

// dnsFaults are what may become of the resolver.
func dnsFaults() []fault {
	const slow = 700 * time.Millisecond // more than recheck_wait, less than answer_timeout
	faults := []fault{
		unboundFault("resolver killed", func(t *testing.T, s *scene) func() {
			s.unbound.cmd.Process.Kill()
			s.unbound.awaitEnd(t)
			return func() { startUnboundAt(t, bookworm, s.resolver, "") }
		}),
		unboundFault("resolver hangs", func(_ *testing.T, s *scene) func() {
			s.unbound.cmd.Process.Signal(syscall.SIGSTOP)
			return func() { s.unbound.cmd.Process.Signal(syscall.SIGCONT) }
		}),
		{
			name:     "resolver claims AD for what nobody signed",
			settings: []string{fmt.Sprintf("dns: {servers: [%q], dane: always, timeout: 1s}", authorityAddr)},
			strike: func(_ *testing.T, s *scene) func() {
				s.zone.SetAuthenticated(true)
				return func() { s.zone.SetAuthenticated(false) }
			},
		},
	}
	for _, ill := range []struct {
		name   string
		blinds bool
		fault  resolvertest.DNSFault
	}{
		{"resolver answers SERVFAIL", true, resolvertest.DNSRcode(dns.RcodeServerFailure)},
		{"resolver truncates", false, resolvertest.DNSTruncated},
		{"resolver takes 700 ms", true, resolvertest.DNSDelay(slow)},
		{"resolver sends garbage", true, resolvertest.DNSGarbage},
	} {
		faults = append(faults, fault{name: ill.name, blinds: ill.blinds, strike: func(_ *testing.T, s *scene) func() {
			s.zone.Misbehave(resolvertest.EveryName, ill.fault)
			return s.connect
		}})
	}
	return faults
}

// unboundFault has the program ask a real resolver.
func unboundFault(name string, strike func(t *testing.T, s *scene) (mend func())) fault {
	return fault{
		name:     name,
		blinds:   true,
		unbound:  true,
		settings: []string{fmt.Sprintf("dns: {servers: [%q], dane: off, timeout: 1s}", resolverAddr)},
		strike:   strike,
	}
}

// publisherFaults are what may become of policy hosts.
func publisherFaults() []fault {
	return []fault{{
		name:     "policy hosts flap under new ids",
		onlyOurs: "a policy just learned is not due to be asked for again",
		strike: func(t *testing.T, s *scene) func() {
			for _, domain := range s.known {
				s.zone.Publish(domain, "20260102")
				s.hosts.Handle(domain, flapping(domain))
			}
			return func() {
				if fetches(s.world, s.known) == 0 {
					t.Error("no policy host was asked: this fault has shown nothing")
				}
				for _, domain := range s.known {
					s.hosts.Handle(domain, enforce(domain))
				}
			}
		},
	}}
}

// flapping closes one connection, fails on the next, hangs on the third, and
// then serves the policy once.
func flapping(domain string) resolvertest.Behaviour {
	var turn atomic.Int32
	turns := []resolvertest.Behaviour{
		{Respond: func(x *resolvertest.HostExchange) { x.Conn.Close() }},
		resolvertest.HostStatus(http.StatusServiceUnavailable, ""),
		resolvertest.HostHangs(),
		enforce(domain),
	}
	return resolvertest.Behaviour{Respond: func(x *resolvertest.HostExchange) {
		n := int(turn.Add(1)) - 1
		turns[n%len(turns)].Respond(x)
	}}
}
