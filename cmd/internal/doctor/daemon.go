package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"mta-sts-daemon/cmd/internal/admin"
	"mta-sts-daemon/cmd/internal/clients"
	"mta-sts-daemon/cmd/internal/layout"
	"mta-sts-daemon/config"
	"mta-sts-daemon/resolver/authorities"
)

// remedyOfConfiguration is for a configuration that the daemon does not start with.
const remedyOfConfiguration = "correct that, until `mta-sts-daemon check-config` finds nothing"

// Remedies for sockets that Postfix does not find.
const (
	remedyOfPassedSocket = "systemctl restart mta-sts-daemon.socket mta-sts-daemon.service"
	remedyOfOwnSocket    = "create its directory again, or stop the program that has taken the path; the daemon tries again every second"
)

// configuration examines the daemon's file, and the files that it names.
func (h Host) configuration() []Finding {
	switch {
	case errors.Is(h.ConfigError, fs.ErrPermission):
		return []Finding{unknown(checkConfiguration, remedyOfPermissions, "The configuration cannot be read: %v. The rest is examined as if it were the default", h.ConfigError)}
	case h.ConfigError != nil:
		return refused(h.ConfigError)
	}
	findings := h.files()
	if h.Config.Mode == config.ModeMonitor {
		findings = append(findings, hint(checkConfiguration, "mode: enforce, when you have seen enough", "mode: monitor: no policy protects mail yet"))
	}
	if findings == nil {
		findings = append(findings, well(checkConfiguration, "The configuration is valid"))
	}
	return findings
}

// files reports each file that the configuration names and the daemon could not
// use.
func (h Host) files() (findings []Finding) {
	faults, warnings := clients.CheckFiles(h.Config)
	for _, warning := range warnings {
		switch {
		case errors.Is(warning, clients.ErrNoTLS):
			findings = append(findings, hint(checkConfiguration, "correct the URL or remove the file; then restart the daemon", "%v", warning))
		case errors.Is(warning, clients.ErrSharedAuthorities):
			findings = append(findings, hint(checkConfiguration, "repair the file; then restart the daemon", "%v", warning))
		case errors.Is(warning, authorities.ErrNone):
			findings = append(findings, problem(checkAuthorities, "apt-get install ca-certificates; mta-sts-daemon reload (or, on another system, the package that has the authorities)",
				"No policy can be fetched, so that mail to domains without a cached policy is sent without protection: %v", warning))
		default:
			findings = append(findings, problem(checkAuthorities, "repair the file; then `mta-sts-daemon reload`",
				"Policies of hosts that need this authority cannot be fetched: %v", warning))
		}
	}
	for _, fault := range faults {
		switch {
		case errors.Is(fault, fs.ErrPermission):
			findings = append(findings, unknown(checkConfiguration, remedyOfPermissions, "What the configuration names cannot be read: %v", fault))
		case errors.Is(fault, clients.ErrCredential):
			findings = append(findings, unknown(checkConfiguration, "start the daemon and run doctor again", "What the configuration names does not exist: %v", fault))
		default:
			findings = append(findings, refused(fault)...)
		}
	}
	return findings
}

// refused reports each line of err.
func refused(err error) (findings []Finding) {
	for reason := range strings.Lines(err.Error()) {
		findings = append(findings, problem(checkConfiguration, remedyOfConfiguration,
			"The configuration is refused, so that the daemon does not start with it: %s", strings.TrimSpace(reason)))
	}
	return findings
}

// status asks the running daemon for its status.
func (h Host) status(ctx context.Context) (admin.Status, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, statusLimit, fmt.Errorf("no answer within %v", statusLimit))
	defer cancel()
	return h.Daemon.Status(ctx)
}

// daemon examines the status of the running daemon; err says why it cannot be read. Whether the daemon
// answers Postfix is another check.
func (h Host) daemon(ctx context.Context, s admin.Status, err error) []Finding {
	switch {
	case errors.Is(err, admin.ErrNotPermitted):
		return []Finding{unknown(checkDaemon, remedyOfPermissions, "The daemon cannot be asked for its status: %v", err)}
	case errors.Is(err, admin.ErrNotRunning):
		return append([]Finding{hint(checkDaemon, "systemctl start mta-sts-daemon, if it is this host's", "The daemon cannot be asked for its status: %v", err)},
			h.state()...)
	case err != nil:
		return []Finding{problem(checkDaemon, "look at its log, or restart it: systemctl restart mta-sts-daemon", "The daemon does not report its status: %v", err)}
	}
	findings := []Finding{well(checkDaemon, "The daemon, version %s, runs and keeps %s", s.Version, layout.Count(s.Policies, "policy"))}
	if s.ConfigError != "" {
		findings = append(findings, hint(checkConfiguration, "correct the file, then `mta-sts-daemon reload`",
			"The last reload was refused, and the configuration before it stays in force: %s", s.ConfigError))
	}
	for _, lost := range s.LostSockets {
		remedy := remedyOfOwnSocket
		if lost.Systemd {
			remedy = remedyOfPassedSocket
		}
		findings = append(findings, problem(checkDaemon, remedy, "Postfix cannot reach the daemon at %s, so that mail is deferred: %s", lost.Path, lost.Reason))
	}
	if s.StoreError != "" {
		findings = append(findings, problem(checkState, "free space or correct permissions; the daemon retries by itself",
			"Policies cannot be stored and would be lost at a restart: %s", s.StoreError))
	}
	if s.Unreachable != "" {
		findings = append(findings, problem(checkDaemon, "check the way from this host to port 443: route, firewall, fetch.proxy, ca-certificates; `mta-sts-daemon query DOMAIN` shows each step",
			"No policy host can be reached from this host, so that mail to domains without a cached policy is sent without protection: %s", s.Unreachable))
	}
	if s.AuthoritiesError != "" {
		findings = append(findings, hint(checkAuthorities, "let the daemon's user read the file, and repair it if it is corrupt; then `mta-sts-daemon reload`",
			"The daemon could not read its certificate authorities, and may not start again: %s", s.AuthoritiesError))
	}
	if s.SharedError != "" {
		findings = append(findings, hint(checkDaemon, "check the servers that cache.shared names; the daemon retries by itself",
			"The shared store cannot be used, so policies are found without it: %s", s.SharedError))
	}
	return append(findings, h.domains(ctx, s)...)
}

// domains counts the domains whose mail needs the operator.
func (h Host) domains(ctx context.Context, s admin.Status) (findings []Finding) {
	if s.Deferred == 0 && s.Mismatched == 0 && s.RefreshFailing == 0 {
		return nil
	}
	temp, mismatched, expiring := 0, 0, 0
	err := h.Daemon.Policies(ctx, func(l admin.Listed) error {
		if slices.Contains(l.State, admin.StateTemp) {
			temp++
		}
		if l.MismatchDefers() {
			mismatched++
		}
		if slices.Contains(l.State, admin.StateExpiring) {
			expiring++
		}
		return nil
	})
	deferred, mail := problem, "is deferred"
	if s.Monitor {
		deferred, mail = hint, "would be deferred in mode enforce"
	}
	list := func(state string) string {
		return fmt.Sprintf("mta-sts-daemon policies --state %s (`mta-sts-daemon query DOMAIN` has the reason for each)", state)
	}
	if temp > 0 {
		findings = append(findings, deferred(checkDomains, list(admin.StateTemp),
			"Domains whose mail %s because a DNS question fails: %d", mail, temp))
	}
	if mismatched > 0 {
		findings = append(findings, deferred(checkDomains, list(admin.StateMismatch),
			"Domains whose mail %s because their enforced policy matches no MX host: %d", mail, mismatched))
	}
	if expiring > 0 {
		findings = append(findings, hint(checkDomains, list(admin.StateExpiring),
			"Domains that lose their protection within two days, because their policy cannot be refreshed: %d", expiring))
	}
	if err != nil {
		findings = append(findings, unknown(checkDomains, "mta-sts-daemon policies", "Domains that need attention may be missing here: %v", err))
	}
	if s.RefreshFailing > 0 {
		findings = append(findings, hint(checkDomains, list(admin.StateFailing),
			"Policies that cannot be refreshed, and apply until they expire: %d", s.RefreshFailing))
	}
	return findings
}

// stateDirectory is the directory in which the unit's daemon keeps policies.
const stateDirectory = "/var/lib/mta-sts-daemon"

// state examines whether a daemon that does not run could store its policies, if it is
// known where.
func (h Host) state() []Finding {
	dir := stateDirectory
	switch {
	case h.Config.Cache.File == config.MemoryOnly:
		return nil
	case h.Config.Cache.File != "":
		dir = nearest(filepath.Dir(h.Config.Cache.File))
	default:
		if _, err := os.Stat(dir); err != nil {
			return nil // systemd makes it
		}
	}
	err := unix.Access(dir, unix.W_OK)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return []Finding{unknown(checkState, remedyOfPermissions, "Whether policies can be stored in %s is not known: %v", dir, err)}
	case err != nil:
		return []Finding{problem(checkState, "repair the file system, or name another file in cache.file", "Policies cannot be stored in %s: %v", dir, err)}
	}
	return []Finding{well(checkState, "Policies can be stored in %s", dir)}
}

// nearest is dir or, if that does not exist yet, its nearest parent that does.
func nearest(dir string) string {
	for {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) || dir == "/" {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}
