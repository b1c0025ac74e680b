package tlspolicy

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"mta-sts-daemon/resolver"
	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/socketmap"
)

// reportingMap is the map name, in any case, that postfix-tlspol answers with
// report attributes.
var reportingMap = []byte("QUERYwithTLSRPT")

// Resolver is what a Handler asks: memory first, then whatever it takes.
type Resolver interface {
	Cached(resolver.NextHop) (resolver.Answer, bool)
	Resolve(context.Context, resolver.NextHop) (resolver.Answer, error)
}

// Profile is how a Handler answers; a reload may change it.
type Profile struct {
	// Monitor answers NOTFOUND to everything; only the log, at debug, tells
	// what would have been answered.
	Monitor bool
	// EnforceTesting takes policies of mode testing for enforce.
	EnforceTesting bool
	// Overrides go before what is found.
	Overrides Overrides
	// Reporting says of map names whether they are answered with report
	// attributes. Maps not named are answered without, but for
	// QUERYwithTLSRPT.
	Reporting map[string]bool
}

// Handler answers socketmap requests with TLS policies.
type Handler struct {
	resolver Resolver
	profile  atomic.Pointer[Profile]
	logger   *slog.Logger
}

// NewHandler returns a Handler that answers from r as p says.
func NewHandler(r Resolver, p Profile, logger *slog.Logger) *Handler {
	h := &Handler{resolver: r, logger: logger}
	h.SetProfile(p)
	return h
}

// SetProfile puts p in force for the lookups that begin from now on.
func (h *Handler) SetProfile(p Profile) { h.profile.Store(&p) }

// Answer implements socketmap.Handler.
func (h *Handler) Answer(dst []byte, req socketmap.Request) (socketmap.Reply, bool) {
	hop, ok := ParseKey(req.Key)
	if !ok {
		return socketmap.Reply{Status: socketmap.NotFound, Data: dst}, true
	}
	p := h.profile.Load()
	reply, ok := p.Overrides.find(hop.Domain)
	if ok {
		reply.Data = append(dst, reply.Data...)
	} else {
		answer, ok := h.resolver.Cached(hop)
		if !ok {
			return socketmap.Reply{Data: dst}, false
		}
		reply = p.reply(dst, req, hop.Domain, answer)
	}
	if h.logger.Enabled(context.Background(), slog.LevelDebug) {
		h.log(hop, reply, 0)
	}
	return p.monitored(reply), true
}

// Wait implements socketmap.Handler.
func (h *Handler) Wait(ctx context.Context, dst []byte, req socketmap.Request) socketmap.Reply {
	hop, ok := ParseKey(req.Key)
	if !ok {
		return socketmap.Reply{Status: socketmap.NotFound, Data: dst}
	}
	start := time.Now()
	p := h.profile.Load()
	answer, err := h.resolver.Resolve(ctx, hop)
	reply := p.replyOrError(dst, req, hop.Domain, answer, err)
	h.log(hop, reply, time.Since(start))
	return p.monitored(reply)
}

// Postfix's security levels for DANE (TLS_README): with TLSA records that it can
// use and without others, or also without such records.
const (
	levelDANEOnly = "dane-only"
	levelDANE     = "dane"
)

// Reasons why there is no answer.
const (
	givenUp     = "the lookup was given up, try again later"
	daneUnknown = "what DANE says of the domain cannot be known now, try again later"
	tooLong     = "the policy is longer than Postfix reads from a tcp_table, use a socketmap"
)

// Tell returns, for a person, what Postfix is told of a plain lookup that the
// resolver answers so: a word and what follows.
func (p *Profile) Tell(hop resolver.NextHop, a resolver.Answer, err error) string {
	reply, ok := p.Overrides.find(hop.Domain)
	if !ok {
		plain := socketmap.Request{Fits: func([]byte) bool { return true }}
		reply = p.replyOrError(nil, plain, hop.Domain, a, err)
	}
	reply = p.monitored(reply)
	return strings.TrimSpace(reply.Status.String() + " " + string(reply.Data))
}

// replyOrError is reply, but for an answer that could not be had.
func (p *Profile) replyOrError(dst []byte, req socketmap.Request, d mtasts.Domain, a resolver.Answer, err error) socketmap.Reply {
	switch {
	case err == nil:
		return p.reply(dst, req, d, a)
	case errors.Is(err, resolver.ErrDANEUnknown):
		return socketmap.Reply{Status: socketmap.Temp, Data: append(dst, daneUnknown...)}
	default:
		return socketmap.Reply{Status: socketmap.Temp, Data: append(dst, givenUp...)}
	}
}

// reply puts an answer into Postfix's words. DANE goes before the policy (RFC
// 8461 section 2); docs/dane.md has the table.
func (p *Profile) reply(dst []byte, req socketmap.Request, d mtasts.Domain, a resolver.Answer) socketmap.Reply {
	enforced := p.enforced(a.Policy)
	switch a.DANE {
	case dane.Full:
		return socketmap.Reply{Status: socketmap.OK, Data: append(dst, levelDANEOnly...)}
	case dane.Partial:
		if enforced {
			return socketmap.Reply{Status: socketmap.OK, Data: append(dst, levelDANEOnly...)}
		}
		return socketmap.Reply{Status: socketmap.OK, Data: append(dst, levelDANE...)}
	case dane.Unknown:
		if enforced {
			return socketmap.Reply{Status: socketmap.Temp, Data: append(dst, daneUnknown...)}
		}
		return socketmap.Reply{Status: socketmap.OK, Data: append(dst, levelDANE...)}
	case dane.Unusable:
		if !enforced {
			return socketmap.Reply{Status: socketmap.OK, Data: append(dst, levelDANE...)}
		}
	}
	if !enforced {
		return socketmap.Reply{Status: socketmap.NotFound, Data: dst}
	}
	dst = AppendSecure(dst, a.Policy)
	if !req.Fits(dst) { // said here, so that the log has what Postfix hears
		return socketmap.Reply{Status: socketmap.Temp, Data: append(dst[:0], tooLong...)}
	}
	if p.reporting(req.Map) {
		dst = AppendReport(dst, d, a.Policy, req.Fits)
	}
	return socketmap.Reply{Status: socketmap.OK, Data: dst}
}

func (p *Profile) enforced(policy *mtasts.Policy) bool {
	if policy == nil {
		return false
	}
	return policy.Mode == mtasts.ModeEnforce || policy.Mode == mtasts.ModeTesting && p.EnforceTesting
}

// monitored withholds a reply in monitor mode.
func (p *Profile) monitored(reply socketmap.Reply) socketmap.Reply {
	if p.Monitor {
		return socketmap.Reply{Status: socketmap.NotFound, Data: reply.Data[:0]}
	}
	return reply
}

func (p *Profile) reporting(name []byte) bool {
	if reports, ok := p.Reporting[string(name)]; ok {
		return reports
	}
	return bytes.EqualFold(name, reportingMap)
}

// log tells of one lookup, at debug: a busy server has thousands a second.
func (h *Handler) log(hop resolver.NextHop, reply socketmap.Reply, took time.Duration) {
	h.logger.Debug("Lookup", "domain", hop.Domain.String(), "result", reply.Status.String(), "answer", string(reply.Data), "took", took)
}
