package tlspolicy

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mta-sts-daemon/resolver"
	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/socketmap"
)

// Resolver answers a Handler's lookups: Cached from memory, Resolve otherwise.
type Resolver interface {
	Cached(hop resolver.NextHop, at time.Time) (resolver.Answer, bool)
	Resolve(context.Context, resolver.NextHop) (resolver.Answer, error)
	// Deferred notes that a lookup was answered with TEMP because DANE could not be
	// looked up; withheld says that monitor mode replaced the reply.
	Deferred(hop resolver.NextHop, reason string, withheld bool)
	// NotDeferred notes that a lookup was answered although some mail hosts could not be
	// looked up, because the domain has no enforced policy.
	NotDeferred(hop resolver.NextHop)
}

// Peeker answers a Handler's lookups by the map name PeekMap: from memory,
// without side effects. ok is false if memory has no answer.
type Peeker interface {
	Peek(hop resolver.NextHop, at time.Time) (a resolver.Answer, ok bool)
}

// PeekMap is the map name for programs that want to know what Postfix would be
// answered and must not change anything by asking: the answer comes from memory
// alone, no discovery starts, the domain does not count as used, and the lookup
// is not counted. It is plain, or TEMP if memory does not know the domain. It is
// not meant for main.cf.
const PeekMap = "peek"

// Profile is how a Handler answers; a reload may change it.
type Profile struct {
	// Monitor answers NOTFOUND to everything; the metrics and, at debug, the
	// log has the answers that it withholds.
	Monitor bool
	// EnforceTesting takes policies of mode testing for enforce.
	EnforceTesting bool
	// Overrides take precedence over policies and DANE.
	Overrides Overrides
	// Maps says how to answer lookups by a map name. Other names get the zero Map, except
	// for QUERYwithTLSRPT, which is answered with report attributes.
	Maps map[string]Map
	// Reporter has the lookups that went without protection, or are deferred, by the fault
	// of a policy's publisher. If it is nil, nothing is reported.
	Reporter Reporter
}

// Map says how to answer lookups by one map name.
type Map struct {
	// Reports: answers have report attributes.
	Reports bool
	// MaxAnswer is how many bytes the answer to an enforced policy may have; a longer one
	// becomes a TEMP. With 0 only Postfix's own limit applies.
	MaxAnswer int
}

// Handler answers socketmap requests with TLS policies.
type Handler struct {
	resolver Resolver
	peeker   Peeker
	late     chan struct{} // has an element for each lookup whose discovery is awaited
	profile  *atomic.Pointer[Profile]
	logger   *slog.Logger
	metrics  *metrics
	lookups  *lookups
}

// NewHandler returns a Handler that answers from r as p says. If r is a Peeker,
// it answers the map PeekMap; else that is a name like any other. If reg is not
// nil, it collects the metrics of all Handlers made of this one by For; lookups
// of this one itself are not counted.
func NewHandler(r Resolver, p Profile, reg prometheus.Registerer, logger *slog.Logger) *Handler {
	h := &Handler{resolver: r, late: make(chan struct{}, maxLate), profile: new(atomic.Pointer[Profile]), logger: logger, metrics: newMetrics(reg)}
	h.peeker, _ = r.(Peeker)
	h.SetProfile(p)
	return h
}

// For returns a Handler that answers as h does, by the same Profile, and counts
// its lookups as those of a protocol.
func (h *Handler) For(protocol string) *Handler {
	counting := *h
	counting.lookups = h.metrics.of(protocol)
	return &counting
}

// SetProfile puts p in force for every reply from now on, also for lookups that
// already wait.
func (h *Handler) SetProfile(p Profile) { h.profile.Store(&p) }

// ReplyText is Profile.ReplyText by the Profile in force.
func (h *Handler) ReplyText(name socketmap.MapName, hop resolver.NextHop, a resolver.Answer, err error) (reply, withheld string) {
	return h.profile.Load().ReplyText(name, hop, a, err)
}

// Answer implements socketmap.Handler.
func (h *Handler) Answer(dst []byte, req *socketmap.Request) (socketmap.Reply, bool) {
	if req.Map == PeekMap && h.peeker != nil {
		return h.peek(dst, req), true
	}
	hop, ok := ParseKey(req.Key)
	if !ok {
		h.lookups.count(resultNoDomain)
		return socketmap.Reply{Status: socketmap.NotFound, Data: dst}, true
	}
	p := h.profile.Load()
	reply, ok := p.settled(dst, hop, req.At)
	if !ok {
		answer, ok := h.resolver.Cached(hop, req.At)
		if !ok {
			return socketmap.Reply{Data: dst}, false
		}
		reply = p.reply(dst, req, hop.Domain, answer)
		h.note(p, hop, answer, reply)
	}
	h.lookups.count(reply.result)
	if h.logger.Enabled(context.Background(), slog.LevelDebug) {
		h.log(hop, reply, 0)
	}
	return p.monitored(reply), true
}

// peek answers from memory alone.
func (h *Handler) peek(dst []byte, req *socketmap.Request) socketmap.Reply {
	hop, ok := ParseKey(req.Key)
	if !ok {
		return socketmap.Reply{Status: socketmap.NotFound, Data: dst}
	}
	p := h.profile.Load()
	if reply, ok := p.settled(dst, hop, req.At); ok {
		return p.monitored(reply)
	}
	answer, ok := h.peeker.Peek(hop, req.At)
	if !ok {
		return temp(dst, notInMemory).Reply
	}
	return p.monitored(p.reply(dst, req, hop.Domain, answer))
}

// Wait implements socketmap.Handler.
func (h *Handler) Wait(ctx context.Context, dst []byte, req *socketmap.Request) socketmap.Reply {
	hop, ok := ParseKey(req.Key)
	if !ok {
		return socketmap.Reply{Status: socketmap.NotFound, Data: dst}
	}
	start := time.Now()
	answer, err := h.resolver.Resolve(ctx, hop)
	p := h.profile.Load() // now: a reload may have added an override meanwhile
	reply, ok := p.settled(dst, hop, time.Now())
	if !ok {
		reply = p.replyOrError(dst, req, hop.Domain, answer, err)
		h.note(p, hop, answer, reply)
	}
	took := time.Since(start)
	h.lookups.countAfter(took, reply.result)
	h.log(hop, reply, took)
	return p.monitored(reply)
}

// note notes a lookup for the operator, or for a report to the domain.
func (h *Handler) note(p *Profile, hop resolver.NextHop, a resolver.Answer, r reply) {
	switch {
	case r.daneUnknown:
		h.resolver.Deferred(hop, string(r.Data), p.Monitor)
	case a.DANE == dane.Unknown:
		h.resolver.NotDeferred(hop)
	}
	h.report(p, hop, a, r)
}

// log logs one lookup, at debug: a busy server has thousands a second.
func (h *Handler) log(hop resolver.NextHop, reply reply, took time.Duration) {
	h.logger.Debug("Lookup", "domain", hop.Domain.String(), "result", reply.Status.String(), "answer", string(reply.Data), "took", took)
}

// Lookups collects LookupsMetric alone.
func (h *Handler) Lookups() prometheus.Collector { return h.metrics.lookups }

// Monitor reports whether the Profile in force withholds answers.
func (h *Handler) Monitor() bool { return h.profile.Load().Monitor }
