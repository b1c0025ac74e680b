package daemon

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"mta-sts-daemon/cmd/internal/admin"
	"mta-sts-daemon/cmd/internal/layout"
	"mta-sts-daemon/config"
)

// state is what others than the main loop may ask of it.
type state struct {
	mu     sync.Mutex
	status admin.Status
}

func (s *state) begin(version string, listen config.Listen) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.Version, s.status.PID, s.status.Started = version, os.Getpid(), time.Now().UTC().Truncate(time.Second)
	s.status.Socketmap, s.status.TCPTable = listen.Socketmap, listen.TCPTable
}

// refused notes the outcome of a reload.
func (s *state) refused(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.ConfigError = ""
	if err != nil {
		s.status.ConfigError = err.Error()
	}
}

// doesDANE notes whether DANE is looked up; why is the reason if it is not.
func (s *state) doesDANE(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.DANE, s.status.DANEOff = why == nil, ""
	if why != nil {
		s.status.DANEOff = why.Error()
	}
}

// authorities keeps the current problem with the certificate authorities.
func (s *state) authorities(problem string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.AuthoritiesError = problem
}

func (s *state) get() admin.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// status is how the daemon fares now.
func (d *daemon) status() admin.Status {
	s := d.state.get()
	s.Policies = d.resolver.PolicyCount()
	counts := d.resolver.Counts()
	s.RefreshFailing, s.Mismatched = counts.Failing, counts.Mismatched
	s.Deferred = len(d.resolver.Deferrals())
	s.Monitor = d.handler.Monitor()
	if err := d.store.Err(); err != nil {
		s.StoreError = err.Error()
	}
	if err := d.resolver.Unreachable(); err != nil {
		s.Unreachable = err.Error()
	}
	if d.resolver.DNSFails() {
		s.DNSError = "no server answers"
	}
	if s.Shared = d.shared != nil; s.Shared {
		if err := d.shared.Err(); err != nil {
			s.SharedError = err.Error()
		}
	}
	s.LostSockets = d.sockets.check()
	return s
}

// trouble is something that the daemon needs and that may fail.
type trouble struct {
	kind   string // in the metric mta_sts_trouble
	name   string // on the status page
	well   string // its state if reason is empty
	short  string // in systemctl status
	reason string
}

// troubles returns all that s says of, in trouble or not.
func troubles(s admin.Status) []trouble {
	var listen, lost []string
	for _, at := range s.Socketmap {
		listen = append(listen, at.String())
	}
	for _, table := range s.TCPTable {
		listen = append(listen, table.Address.String())
	}
	for _, socket := range s.LostSockets {
		lost = append(lost, socket.Path+": "+socket.Reason)
	}
	all := []trouble{
		{"sockets", "Sockets for Postfix", strings.Join(listen, ", "), "socket file missing", strings.Join(lost, "; ")},
		{"resolver", "DNS resolver", "answers", "DNS does not answer", s.DNSError},
		{"policy_hosts", "Policy hosts", "reached as far as is known", "policy hosts cannot be reached", s.Unreachable},
		{"authorities", "Certificate authorities", "loaded", "certificate authorities missing", s.AuthoritiesError},
		{"store", "Policy file", "written", "policy file cannot be written", s.StoreError},
		{"shared_store", "Shared store", "used", "shared store cannot be used", s.SharedError},
		{"configuration", "Configuration", "in force", "configuration refused", s.ConfigError},
	}
	if !s.Shared {
		all = slices.DeleteFunc(all, func(t trouble) bool { return t.kind == "shared_store" })
	}
	return all
}

// statusLine is that in a line, for systemctl status.
func (d *daemon) statusLine() string {
	s := d.status()
	parts := []string{"Answering lookups; " + layout.Count(s.Policies, "policy")}
	if s.RefreshFailing > 0 {
		parts = append(parts, fmt.Sprintf("%d cannot be refreshed", s.RefreshFailing))
	}
	for _, t := range troubles(s) {
		if t.reason != "" {
			parts = append(parts, t.short)
		}
	}
	return strings.Join(parts, "; ")
}
