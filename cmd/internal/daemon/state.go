package daemon

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"mta-sts-daemon/cmd/internal/admin"
)

// state is what others than the main loop may ask of it.
type state struct {
	mu     sync.Mutex
	status admin.Status
}

func (s *state) begin(version string, listen []string, dane bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = admin.Status{Version: version, PID: os.Getpid(), Started: time.Now().UTC().Truncate(time.Second), Listen: listen, DANE: dane}
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

func (s *state) doesDANE(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.DANE = on
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
	s.RefreshFailing = d.resolver.RefreshFailing()
	if err := d.store.Err(); err != nil {
		s.StoreError = err.Error()
	}
	if err := d.resolver.Unreachable(); err != nil {
		s.Unreachable = err.Error()
	}
	if d.shared != nil {
		if err := d.shared.Err(); err != nil {
			s.SharedError = err.Error()
		}
	}
	s.LostSockets = d.sockets.check()
	return s
}

// statusLine is that in a line, for systemctl status.
func (d *daemon) statusLine() string {
	s := d.status()
	policies := "1 policy"
	if s.Policies != 1 {
		policies = fmt.Sprintf("%d policies", s.Policies)
	}
	parts := []string{"Answering lookups; " + policies}
	if s.RefreshFailing > 0 {
		parts = append(parts, fmt.Sprintf("%d cannot be refreshed", s.RefreshFailing))
	}
	if len(s.LostSockets) > 0 {
		parts = append(parts, "socket file missing")
	}
	if s.Unreachable != "" {
		parts = append(parts, "policy hosts cannot be reached")
	}
	if s.StoreError != "" {
		parts = append(parts, "policy file cannot be written")
	}
	if s.SharedError != "" {
		parts = append(parts, "shared store cannot be used")
	}
	if s.ConfigError != "" {
		parts = append(parts, "configuration refused")
	}
	return strings.Join(parts, "; ")
}
