package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"mta-sts-daemon/cmd/internal/admin"
	"mta-sts-daemon/cmd/internal/clients"
	"mta-sts-daemon/config"
	"mta-sts-daemon/resolver/authorities"
)

// remedyOfConfiguration is for what the daemon does not start with.
const remedyOfConfiguration = "mend that; `mta-sts-daemon check-config` tells when it is well"

// Remedies for sockets that Postfix does not find.
const (
	remedyOfPassedSocket = "systemctl restart mta-sts-daemon.socket mta-sts-daemon.service"
	remedyOfOwnSocket    = "create its directory again, or stop the program that has taken the path; the daemon tries again every second"
)

// configuration looks at the daemon's file, and at the files that it names.
func (h Host) configuration() []Finding {
	switch {
	case errors.Is(h.ConfigError, fs.ErrPermission):
		return []Finding{unknown(checkConfiguration, remedyOfPermissions, "The configuration cannot be read: %v. The rest is looked at as if it were the default", h.ConfigError)}
	case h.ConfigError != nil:
		return refused(h.ConfigError)
	}
	if findings := h.files(); findings != nil {
		return findings
	}
	if h.Config.Mode == config.ModeMonitor {
		return []Finding{hint(checkConfiguration, "mode: enforce, when you have seen enough", "mode: monitor: no policy protects mail yet")}
	}
	return []Finding{well(checkConfiguration, "The configuration is valid")}
}

// files reports each file that the configuration names and the daemon could not
// use.
func (h Host) files() (findings []Finding) {
	faults, warnings := clients.CheckFiles(h.Config)
	for _, warning := range warnings {
		if errors.Is(warning, authorities.ErrNone) {
			findings = append(findings, problem(checkAuthorities, "apt-get install ca-certificates, or what has them in this system; then `mta-sts-daemon reload`",
				"No policy can be fetched, so that mail to domains whose policy is not known goes unprotected: %v", warning))
		} else {
			findings = append(findings, problem(checkAuthorities, "repair the file; then `mta-sts-daemon reload`",
				"Policies of hosts that need this authority cannot be fetched: %v", warning))
		}
	}
	for _, fault := range faults {
		switch {
		case errors.Is(fault, fs.ErrPermission):
			findings = append(findings, unknown(checkConfiguration, remedyOfPermissions, "What the configuration names cannot be read: %v", fault))
		case errors.Is(fault, clients.ErrCredential):
			findings = append(findings, unknown(checkConfiguration, "start the daemon and run doctor again", "What the configuration names is not there: %v", fault))
		default:
			findings = append(findings, refused(fault)...)
		}
	}
	return findings
}

// refused tells each line of err.
func refused(err error) (findings []Finding) {
	for reason := range strings.Lines(err.Error()) {
		findings = append(findings, problem(checkConfiguration, remedyOfConfiguration,
			"The configuration is refused, so that the daemon does not start with it: %s", strings.TrimSpace(reason)))
	}
	return findings
}

// daemon asks the running one how it fares. Whether it answers Postfix is
// another check.
func (h Host) daemon(ctx context.Context) []Finding {
	ctx, cancel := context.WithTimeoutCause(ctx, statusLimit, fmt.Errorf("no answer within %v", statusLimit))
	defer cancel()
	s, err := h.Daemon.Status(ctx)
	switch {
	case errors.Is(err, admin.ErrNotPermitted):
		return []Finding{unknown(checkDaemon, remedyOfPermissions, "The daemon cannot be asked how it fares: %v", err)}
	case errors.Is(err, admin.ErrNotRunning):
		return append([]Finding{hint(checkDaemon, "systemctl start mta-sts-daemon, if it is this host's", "The daemon cannot be asked how it fares: %v", err)},
			h.state()...)
	case err != nil:
		return []Finding{problem(checkDaemon, "look at its log, or restart it: systemctl restart mta-sts-daemon", "The daemon does not report its status: %v", err)}
	}
	findings := []Finding{well(checkDaemon, "The daemon, version %s, runs and keeps policies of %d domains", s.Version, s.Policies)}
	if s.ConfigError != "" {
		findings = append(findings, hint(checkConfiguration, "mend the file; `mta-sts-daemon reload` puts it in force",
			"The last reload was refused and the daemon goes on as before: %s", s.ConfigError))
	}
	for _, lost := range s.LostSockets {
		remedy := remedyOfOwnSocket
		if lost.Systemd {
			remedy = remedyOfPassedSocket
		}
		findings = append(findings, problem(checkDaemon, remedy, "Postfix cannot reach the daemon at %s, so that mail is deferred: %s", lost.Path, lost.Reason))
	}
	if s.StoreError != "" {
		findings = append(findings, problem(checkState, "free space, mend permissions; it is tried again by itself",
			"Policies cannot be written down and would be lost at a restart: %s", s.StoreError))
	}
	if s.Unreachable != "" {
		findings = append(findings, problem(checkDaemon, "look at the way from this host to port 443: route, firewall, fetch.proxy, ca-certificates; `mta-sts-daemon query DOMAIN` shows each step",
			"No policy host can be reached from this host, so that mail to domains without a cached policy is sent as without one: %s", s.Unreachable))
	}
	if s.SharedError != "" {
		findings = append(findings, hint(checkDaemon, "look at the servers that cache.shared names; it is tried again by itself",
			"The shared store cannot be used, so policies are found without it: %s", s.SharedError))
	}
	if s.RefreshFailing > 0 {
		findings = append(findings, hint(checkDaemon, "`mta-sts-daemon policies` names the domains, `mta-sts-daemon query DOMAIN` says why",
			"Policies that cannot be refreshed, and hold until they expire: %d", s.RefreshFailing))
	}
	return findings
}

// stateDirectory is where the unit has policies kept.
const stateDirectory = "/var/lib/mta-sts-daemon"

// state looks whether a daemon that does not run could write its policies down,
// where it is known where.
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
		return []Finding{unknown(checkState, remedyOfPermissions, "Whether policies can be kept in %s cannot be told: %v", dir, err)}
	case err != nil:
		return []Finding{problem(checkState, "mend the file system, or name another file in cache.file", "Policies cannot be kept in %s: %v", dir, err)}
	}
	return []Finding{well(checkState, "Policies can be kept in %s", dir)}
}

// nearest is dir or, while that is still to be made, what it will be in.
func nearest(dir string) string {
	for {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) || dir == "/" {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}
