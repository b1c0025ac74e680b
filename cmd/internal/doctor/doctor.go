// Package doctor looks at this host as mail meets it: Postfix's settings, the
// daemon, the resolver, the clock. It changes nothing and tells of each thing
// whether mail suffers by it, and the remedy.
package doctor

import (
	"context"
	"time"

	"mta-sts-daemon/cmd/internal/admin"
	"mta-sts-daemon/cmd/internal/postconf"
	"mta-sts-daemon/config"
)

const (
	// patience limits each question to another program on this host.
	patience = 5 * time.Second
	// statusLimit limits how long a daemon that has acknowledged the question may take
	// to report its status. It is longer than the limit of the acknowledgement.
	statusLimit = 2 * patience
)

// StatusSource is the running daemon: its control socket.
type StatusSource interface {
	Status(context.Context) (admin.Status, error)
}

// Host is what is looked at.
type Host struct {
	Config config.Config
	// ConfigError is why there is no configuration. Config is then the default,
	// with which the rest is looked at all the same.
	ConfigError error
	Postfix     postconf.Command
	Daemon      StatusSource
	Systemctl   string // the program; "" is the host's own
}

// Examine looks at all of h. It takes seconds where something does not answer.
func Examine(ctx context.Context, h Host) Report {
	findings := h.configuration()
	findings = append(findings, overrides(h.Config, time.Now())...)
	instances, found := h.instances(ctx)
	findings = append(findings, found...)
	findings = append(findings, h.daemon(ctx)...)
	findings = append(findings, h.unit(ctx)...)
	findings = append(findings, h.dns(ctx, instances)...)
	findings = append(findings, clock(time.Now())...)
	return Report{Verdict: verdict(findings), Findings: findings}
}
