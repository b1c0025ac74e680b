package doctor

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

const (
	socketUnit = "mta-sts-daemon.socket"
	// systemdRuns is there if systemd is the init process (sd_booted(3)).
	systemdRuns = "/run/systemd/system"
)

// SocketUnit returns an error if the socket unit is enabled but systemd does not hold
// its sockets, because the unit failed or was stopped: nobody may answer there. A host
// without systemd or without the unit is well. program is systemctl(1); "" is the
// host's own.
func SocketUnit(ctx context.Context, program string) error {
	if program == "" {
		if _, err := os.Stat(systemdRuns); err != nil {
			return nil
		}
		program = "systemctl"
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, "show", "--property=UnitFileState,ActiveState,Result", socketUnit).Output()
	if err != nil {
		return nil // a systemd that cannot be asked, as in some containers
	}
	properties := make(map[string]string)
	for line := range strings.Lines(string(out)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		properties[name] = value
	}
	if !strings.HasPrefix(properties["UnitFileState"], "enabled") { // or enabled-runtime
		return nil
	}
	switch properties["ActiveState"] {
	case "failed":
		return fmt.Errorf("%s is enabled and failed (%s): Postfix finds nobody at its addresses, unless the daemon listens there itself", socketUnit, properties["Result"])
	case "inactive":
		return fmt.Errorf("%s is enabled and inactive: Postfix finds nobody at its addresses, unless the daemon listens there itself", socketUnit)
	}
	return nil
}

// unit looks at the socket unit.
func (h Host) unit(ctx context.Context) []Finding {
	if err := SocketUnit(ctx, h.Systemctl); err != nil {
		return []Finding{problem(checkDaemon, remedyOfPassedSocket+"; if that fails, journalctl -u "+socketUnit+
			" has the reason. To let the daemon listen by itself: systemctl disable "+socketUnit, "%v", err)}
	}
	return nil
}
