package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"mta-sts-daemon/cmd/internal/clients"
	"mta-sts-daemon/cmd/internal/postconf"
	"mta-sts-daemon/config"
	"mta-sts-daemon/resolver/dnsclient"
	"mta-sts-daemon/resolver/event"
)

// probeTimeout bounds the question whether the resolver validates, which only
// the log waits for.
const probeTimeout = 30 * time.Second

// daneSwitch decides whether DANE takes precedence over STS on this host, and logs
// when that changes.
type daneSwitch struct {
	logger   *slog.Logger
	postconf postconf.Command
	postfix  postconf.Instances // as last read
	asking   postconf.Instances // of these, those that the daemon answers
	why      error              // as last decided, why DANE is not looked up; nil if it is
	told     string             // the decision that the log has
}

// decide returns whether DANE is to be looked up; tell has it logged.
func (s *daneSwitch) decide(ctx context.Context, cfg config.Config, c clients.Clients) bool {
	s.why = s.readPostfix(ctx, cfg.DNS.DANE)
	s.asking = clients.Asking(cfg, s.postfix)
	if s.why == nil {
		s.why = c.DoesDANE(cfg, s.postfix)
	}
	return s.why == nil
}

// looksUpNative reports whether an instance of Postfix that asks finds mail hosts
// in this host's hosts file too.
func (s *daneSwitch) looksUpNative() bool {
	return slices.ContainsFunc(s.asking, postconf.Settings.LooksUpNative)
}

// readPostfix brings the settings of this host's Postfix up to date if they
// matter. A Postfix that cannot be asked any more is as it was.
func (s *daneSwitch) readPostfix(ctx context.Context, mode config.DANE) error {
	if mode != config.DANEAuto {
		s.postfix = nil
		return nil
	}
	if !s.postfix.Changed() {
		return nil
	}
	read, err := s.postconf.Instances(ctx)
	if err == nil {
		s.postfix = read
		return nil
	}
	if len(s.postfix) > 0 && !errors.Is(err, postconf.ErrNotFound) {
		return nil
	}
	s.postfix = nil
	return fmt.Errorf("this host's Postfix settings cannot be read: %w", err)
}

// tell logs the decision if it has changed. It is called when the decision is in
// force.
func (s *daneSwitch) tell(ctx context.Context, dns *dnsclient.Client) {
	var what event.Event
	var attrs []slog.Attr
	switch s.why {
	case nil:
		what = event.DANEOn
	case clients.ErrADFromFar:
		what = event.DANENotTrusted
	default:
		what = event.DANEOff
	}
	decision := what.Define().ID
	if s.why != nil {
		attrs = append(attrs, event.Reason(s.why))
		decision += s.why.Error()
	}
	if len(s.postfix) > 1 {
		attrs = append(attrs, slog.String("instances", s.asking.String()))
		decision += s.asking.String()
	}
	if decision == s.told {
		return
	}
	s.told = decision
	what.Log(s.logger, attrs...)
	if s.why == nil {
		go s.probe(ctx, dns)
	}
}

// probe tells whether the resolver validates. It changes nothing: each answer's
// own AD bit decides.
func (s *daneSwitch) probe(ctx context.Context, dns *dnsclient.Client) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	validates, err := dns.Validates(ctx)
	switch {
	case err != nil:
		s.logger.Debug("Whether the resolver validates is not known", event.Reason(err))
	case validates:
		event.ResolverValidates.Log(s.logger)
	default:
		event.ResolverNotValidating.Log(s.logger)
	}
}
