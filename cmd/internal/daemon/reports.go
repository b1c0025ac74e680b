package daemon

import (
	"context"
	"path/filepath"

	"mta-sts-daemon/cmd/internal/clients"
	"mta-sts-daemon/resolver/event"
	"mta-sts-daemon/resolver/tlsrpt"
	"mta-sts-daemon/socketmap/tlspolicy"
)

// profile is how lookups are answered and which are reported, by the configuration in
// force.
func (d *daemon) profile() tlspolicy.Profile {
	p := clients.Profile(d.config)
	if d.config.TLSRPT.Socket != "" {
		p.Reporter = d.reporter
	}
	return p
}

// reporting is where failed discoveries are reported, by the configuration in force.
func (d *daemon) reporting(ctx context.Context) tlsrpt.Settings {
	s := tlsrpt.Settings{Socket: d.config.TLSRPT.Socket, TXT: d.clients.DNS}
	if s.Socket != "" && !filepath.IsAbs(s.Socket) {
		s.Socket = filepath.Join(d.queueDirectory(ctx), s.Socket)
	}
	return s
}

// queueDirectory returns the queue directory of this host's Postfix, of several instances
// that of the first one that asks this daemon; the usual one if Postfix cannot be asked.
func (d *daemon) queueDirectory(ctx context.Context) string {
	instances := d.dane.postfix
	if len(instances) == 0 {
		var err error
		if instances, err = d.dane.postconf.Instances(ctx); err != nil {
			d.logger.Debug("Postfix's queue directory is not known", event.Reason(err))
			return usualQueueDirectory
		}
	}
	for _, s := range clients.Asking(d.config, instances) {
		return s.QueueDirectory
	}
	return instances[0].QueueDirectory
}

// usualQueueDirectory is the default of Postfix's queue_directory.
const usualQueueDirectory = "/var/spool/postfix"
