package resolver

import (
	"context"
	"errors"
	"log/slog"

	"mta-sts-daemon/resolver/event"
	"mta-sts-daemon/resolver/mtasts"
)

// recordLost tells, once, that the record of a live policy has gone. A failure
// of the DNS is no such news: it may be down for every domain at once.
func (r *Resolver) recordLost(d mtasts.Domain, known *entry, err error) {
	if errors.Is(err, errDNS) {
		r.logger.Debug("Record not known", event.Domain(d.String()), event.Reason(err))
		return
	}
	if known.trouble.CompareAndSwap(nil, &trouble{}) && known.policy.Mode != mtasts.ModeNone {
		event.RecordGone.Log(r.logger, r.about(d, known, event.Reason(err))...)
	}
}

// recordFound ends a trouble that was about the record, or about the policy of
// an id that the record does not name any more.
func (r *Resolver) recordFound(d mtasts.Domain, known *entry) {
	if t := known.trouble.Load(); t != nil && t.id != known.id {
		known.trouble.Store(nil)
		r.cache.update(d, known) // or a restart would find the trouble again
		r.recovered(d, known)
	}
}

// renewalFailed tells, once, that a live policy cannot be renewed.
func (r *Resolver) renewalFailed(d mtasts.Domain, known *entry, t *trouble, err error) {
	before := known.trouble.Swap(t)
	if (before == nil || before.id == "") && known.policy.Mode != mtasts.ModeNone {
		event.RefreshFailing.Log(r.logger, r.about(d, known, event.Reason(err))...)
	}
}

func (r *Resolver) recovered(d mtasts.Domain, now *entry) {
	if now.policy.Mode != mtasts.ModeNone {
		event.RefreshRecovered.Log(r.logger, r.about(d, now)...)
	}
}

// tellExpired tells, once, that there is no policy any more where one was
// enforced.
func (r *Resolver) tellExpired(d mtasts.Domain, err error) {
	e := r.cache.remembered(d) // since the discovery began
	if e != nil && e.policy.Mode == mtasts.ModeEnforce && e.toldExpired.CompareAndSwap(false, true) {
		event.PolicyExpired.Log(r.logger, r.about(d, e, event.Reason(err))...)
	}
}

// tellPolicy tells what a policy just fetched, here or elsewhere in the fleet,
// changed.
func (r *Resolver) tellPolicy(d mtasts.Domain, before, now *entry) {
	if before == nil && now.policy.MaxAge == 0 {
		// It will be new to every lookup: no news.
		r.logger.Debug("Policy is not to be kept", event.Domain(d.String()))
		return
	}
	if before == nil {
		event.PolicyFound.Log(r.logger, r.about(d, now)...)
		return
	}
	if before.trouble.Load() != nil && now.trouble.Load() == nil {
		r.recovered(d, now)
	}
	if before.policy.Text == now.policy.Text {
		return
	}
	if before.policy.Mode == mtasts.ModeEnforce && now.policy.Mode != mtasts.ModeEnforce {
		r.metrics.downgrades.Inc()
		event.PolicyDowngraded.Log(r.logger, r.about(d, now, event.OldID(before.id))...)
	} else {
		event.PolicyChanged.Log(r.logger, r.about(d, now, event.OldID(before.id))...)
	}
}

func (r *Resolver) about(d mtasts.Domain, e *entry, more ...slog.Attr) []slog.Attr {
	return append([]slog.Attr{event.Domain(d.String()), event.Mode(e.policy.Mode.String()), event.ID(e.id),
		event.Expires(r.clock.time(e.expires))}, more...)
}

// checkMX warns, once, of a policy that none of the domain's MX hosts can
// satisfy: mail to it will be deferred. The lookups that wait need not wait for
// that. It is done at each fetch, because MX hosts change without the policy.
func (r *Resolver) checkMX(d mtasts.Domain, e *entry) {
	if e.policy.Mode != mtasts.ModeEnforce {
		r.cache.mismatched.remove(d)
		return
	}
	if !r.begin() {
		return
	}
	go func() {
		defer r.underway.Done()
		hosts, err := mxHosts(r.ctx, r.settings.Load().MX, d)
		switch {
		case err != nil: // nothing is learned
		case anyMatches(e.policy, hosts):
			r.cache.mismatched.remove(d)
		case r.cache.mismatched.add(d, e):
			event.PolicyMatchesNoMX.Log(r.logger, r.about(d, e, slog.Any("mx_hosts", hosts), slog.Any("patterns", e.policy.MX[:min(len(e.policy.MX), maxMXHosts)]))...)
		}
	}()
}

// maxMXHosts bounds how many of a domain's MX hosts are looked at, most preferred
// first, and how many of anything the log names. Mail servers try fewer; a
// stranger may publish thousands, and as many patterns to compare them with.
const maxMXHosts = 20

// mxHosts returns the hosts that take mail for the domain: where it has no MX
// records, itself (RFC 5321 section 5.1).
func mxHosts(ctx context.Context, source MXSource, d mtasts.Domain) ([]string, error) {
	answer, err := source.MX(ctx, d.String())
	if err != nil {
		return nil, err
	}
	if len(answer.Records) == 0 {
		return []string{d.String()}, nil
	}
	records := answer.Records[:min(len(answer.Records), maxMXHosts)]
	hosts := make([]string, len(records))
	for i, mx := range records {
		hosts[i] = mx.Host
	}
	return hosts, nil
}

func anyMatches(p mtasts.Policy, hosts []string) bool {
	for _, host := range hosts {
		if d, err := mtasts.ParseDomain(host); err == nil && p.Matches(d) {
			return true
		}
	}
	return false
}
