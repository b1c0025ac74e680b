package daemon

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"
)

// notifier tells systemd how the daemon fares (sd_notify(3)). Where systemd did
// not start it, it tells nobody.
type notifier struct {
	logger *slog.Logger
	status string // as last told
}

func (n *notifier) tell(states ...string) {
	if _, err := systemd.SdNotify(false, strings.Join(states, "\n")); err != nil {
		n.logger.Debug("systemd could not be notified", "state", strings.Join(states, " "), "reason", err)
	}
}

func (n *notifier) ready(status string) {
	n.status = status
	n.tell(systemd.SdNotifyReady, "STATUS="+status)
}

// reloading is to be followed by ready.
func (n *notifier) reloading() {
	n.tell(systemd.SdNotifyReloading, systemd.SdNotifyMonotonicUsec(), "STATUS=Loading the configuration")
}

// stopping says that the end may take so long.
func (n *notifier) stopping(limit time.Duration) {
	n.tell(systemd.SdNotifyStopping, fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", limit.Microseconds()),
		"STATUS=Answering what was asked, then stopping")
}

// tellStatus tells a status that is news.
func (n *notifier) tellStatus(status string) {
	if status != n.status {
		n.status = status
		n.tell("STATUS=" + status)
	}
}

func (n *notifier) alive() { n.tell(systemd.SdNotifyWatchdog) }

// watchdogInterval is how often systemd wants to hear that the daemon lives; 0
// for never.
func watchdogInterval() (time.Duration, error) { return systemd.SdWatchdogEnabled(false) }
