package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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

// daneSwitch decides whether DANE goes before STS on this host, and tells when
// that changes.
type daneSwitch struct {
	logger   *slog.Logger
	postconf postconf.Command
	postfix  postconf.Settings // as last read
	why      error             // as last decided, why DANE is not looked up; nil where it is
	told     string            // the decision that the log has
}

// decide returns whether DANE is to be looked up; tell has it logged.
func (s *daneSwitch) decide(ctx context.Context, mode config.DANE, c clients.Clients) bool {
	if s.why = s.readPostfix(ctx, mode); s.why == nil {
		s.why = c.DoesDANE(mode, s.postfix)
	}
	return s.why == nil
}

// readPostfix brings the settings of this host's Postfix up to date where they
// matter. A Postfix that cannot be asked any more is as it was.
func (s *daneSwitch) readPostfix(ctx context.Context, mode config.DANE) error {
	if mode != config.DANEAuto || !s.postfix.Changed() {
		return nil
	}
	read, err := s.postconf.Settings(ctx)
	if err == nil {
		s.postfix = read
		return nil
	}
	if s.postfix.ConfigDirectory != "" && !errors.Is(err, postconf.ErrNotFound) {
		return nil
	}
	s.postfix = postconf.Settings{}
	return fmt.Errorf("this host's Postfix settings cannot be read: %w", err)
}

// tell logs what was decided, if that is news. It is for when that is in force.
func (s *daneSwitch) tell(ctx context.Context, dns *dnsclient.Client) {
	what := event.DANEOff
	var attrs []slog.Attr
	switch s.why {
	case nil:
		what = event.DANEOn
	case clients.ErrADFromFar:
		what = event.DANENotTrusted
	}
	decision := what.Define().ID
	if s.why != nil {
		attrs = append(attrs, event.Reason(s.why))
		decision += s.why.Error()
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
