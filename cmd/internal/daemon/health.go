package daemon

import (
	"context"
	"errors"
	"time"

	"mta-sts-daemon/resolver/event"
	"mta-sts-daemon/socketmap"
	"mta-sts-daemon/socketmap/tlspolicy"
)

const (
	// healthKey is looked up to check that lookups are answered. It never has a
	// policy (RFC 6761 section 6.4): the handler answers it without memory, so
	// memory and the policy file are checked on their own.
	healthKey = "health.invalid"
	// healthLimit is how long that may take; it takes microseconds.
	healthLimit = 5 * time.Second
)

var errHanging = errors.New("a lookup is not answered: the daemon hangs")

// health goes through the handler, memory and the policy file, as a lookup does.
// The error means that this does not end.
func (d *daemon) health(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, healthLimit, errHanging)
	defer cancel()
	// However often the check is called, at most one of them hangs.
	done := d.checks.DoChan(healthKey, func() (any, error) {
		d.lookUp(healthKey)
		return nil, nil
	})
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// ready is health, and whether clients find the sockets. A restart by the watchdog
// would not make a lost socket again, so it does not depend on that.
func (d *daemon) ready(ctx context.Context) error {
	if err := d.health(ctx); err != nil {
		return err
	}
	return d.sockets.err()
}

func (d *daemon) lookUp(key string) {
	d.handler.Answer(nil, &socketmap.Request{Key: key, At: time.Now(), Fits: func([]byte) bool { return true }})
	if hop, ok := tlspolicy.ParseKey(key); ok {
		d.resolver.Check(hop.Domain)
	}
}

// feedWatchdog notifies systemd's watchdog while the daemon works. If it does
// not, systemd restarts the daemon (WatchdogSec= in systemd.service(5)).
func (d *daemon) feedWatchdog() {
	interval, err := watchdogInterval()
	if err != nil {
		d.logger.Debug("The watchdog is off", event.Reason(err))
	}
	if interval == 0 {
		return
	}
	for range time.Tick(interval / 3) {
		if err := d.health(context.Background()); err != nil {
			event.DaemonHanging.Log(d.logger, event.Reason(err))
			continue
		}
		d.notifier.alive()
	}
}
