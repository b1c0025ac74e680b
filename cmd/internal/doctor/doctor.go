// Package doctor examines what matters for mail on this host: Postfix's settings, the
// daemon, the resolver, the clock. It changes nothing. For each fault it reports the
// consequence for mail and the remedy.
package doctor

import (
	"context"
	"slices"
	"time"

	"mta-sts-daemon/cmd/internal/admin"
	"mta-sts-daemon/cmd/internal/clients"
	"mta-sts-daemon/cmd/internal/postconf"
	"mta-sts-daemon/config"
	"mta-sts-daemon/resolver/dnsclient"
)

const (
	// askTimeout limits each question to another program on this host.
	askTimeout = 5 * time.Second
	// statusLimit limits how long a daemon that has acknowledged the question may take
	// to report its status. It is longer than the limit of the acknowledgement.
	statusLimit = 2 * askTimeout
)

// Daemon is the running daemon: its control socket.
type Daemon interface {
	Status(context.Context) (admin.Status, error)
	// Policies calls each with every domain that has a policy or trouble.
	Policies(ctx context.Context, each func(admin.Listed) error) error
}

// Host is the host to examine.
type Host struct {
	Config config.Config
	// ConfigFile is the path of the file that Config was read from.
	ConfigFile string
	// ConfigError is the reason for a missing configuration. Config is then the
	// default, and the rest is examined with it.
	ConfigError error
	Postfix     postconf.Command
	Daemon      Daemon
	Systemctl   string // the program; "" is the host's own
	// PostfixDNS has the servers that Postfix asks; the zero Options follow
	// /etc/resolv.conf.
	PostfixDNS dnsclient.Options
}

// Examine examines all of h. It takes seconds if something does not answer.
func Examine(ctx context.Context, h Host) Report {
	status, statusErr := h.status(ctx)
	h.Config.Listen = clients.Listening(h.Config.Listen, status)
	findings := h.configuration()
	if slices.ContainsFunc(findings, func(f Finding) bool { return f.Check == checkAuthorities }) {
		status.AuthoritiesError = "" // it is among the findings
	}
	instances, found := h.instances(ctx)
	findings = append(findings, h.overrides(ctx, instances, time.Now())...)
	findings = append(findings, found...)
	findings = append(findings, h.daemon(ctx, status, statusErr)...)
	findings = append(findings, h.unit(ctx)...)
	findings = append(findings, h.dns(ctx, instances, status)...)
	findings = append(findings, clock(time.Now(), synchronised(), inContainer())...)
	return Report{Verdict: verdict(findings), Findings: findings}
}
