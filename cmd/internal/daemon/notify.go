package daemon

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"
)

// notifier notifies systemd of the daemon's state (sd_notify(3)). If systemd did not
// start the daemon, it does nothing.
type notifier struct {
	logger *slog.Logger
	status string // as last sent
}

func (n *notifier) notify(states ...string) {
	if _, err := systemd.SdNotify(false, strings.Join(states, "\n")); err != nil {
		n.logger.Debug("systemd could not be notified", "state", strings.Join(states, " "), "reason", err)
	}
}

func (n *notifier) ready(status string) {
	n.status = status
	n.notify(systemd.SdNotifyReady, "STATUS="+status)
}

// reloading must be followed by ready.
func (n *notifier) reloading() {
	n.notify(systemd.SdNotifyReloading, systemd.SdNotifyMonotonicUsec(), "STATUS=Loading the configuration")
}

// stopping announces the end, which may take as long as limit.
func (n *notifier) stopping(limit time.Duration) {
	n.notify(systemd.SdNotifyStopping, fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", limit.Microseconds()),
		"STATUS=Answering pending lookups, then stopping")
}

// setStatus notifies systemd of a status if it has changed.
func (n *notifier) setStatus(status string) {
	if status != n.status {
		n.status = status
		n.notify("STATUS=" + status)
	}
}

func (n *notifier) alive() { n.notify(systemd.SdNotifyWatchdog) }

// watchdogInterval is the interval at which systemd expects notifications; 0 if
// it has no watchdog for this process.
func watchdogInterval() (time.Duration, error) { return systemd.SdWatchdogEnabled(false) }
