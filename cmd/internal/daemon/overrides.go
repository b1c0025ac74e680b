package daemon

import (
	"log/slog"
	"time"

	"mta-sts-daemon/config"
	"mta-sts-daemon/resolver/event"
)

// overrideEnds logs the overrides that have ended, each once.
type overrideEnds struct {
	logger *slog.Logger
	logged map[config.OverrideKey]time.Time // the ends that the log has
}

// log logs those of overrides that have ended by now.
func (e *overrideEnds) log(overrides map[config.OverrideKey]config.Override, now time.Time) {
	for key, o := range overrides {
		if o.Until.IsZero() || now.Before(o.Until) || e.logged[key].Equal(o.Until) {
			continue
		}
		if e.logged == nil {
			e.logged = make(map[config.OverrideKey]time.Time)
		}
		e.logged[key] = o.Until
		event.OverrideEnded.Log(e.logger, slog.String("key", key.String()), slog.Time("until", o.Until))
	}
}
