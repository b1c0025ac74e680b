package tlspolicy

import (
	"errors"
	"strings"
	"time"

	"mta-sts-daemon/resolver"
	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/dnsclient"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/policies"
	"mta-sts-daemon/resolver/printable"
	"mta-sts-daemon/socketmap"
)

// reportingMap is the map name, in any case, that postfix-tlspol answers with
// report attributes.
const reportingMap = "QUERYwithTLSRPT"

// Postfix's security levels for DANE (TLS_README): with TLSA records that it can
// use and without others, or also without such records.
const (
	levelDANEOnly = "dane-only"
	levelDANE     = "dane"
)

// Reasons of a NOTFOUND reply.
const (
	givenUp     = "the lookup was given up, try again later"
	daneUnknown = "DANE cannot be looked up now, try again later" // if no question is known
	notInMemory = "memory does not know the domain"
	overLimit   = "the answer is longer than max_answer of this map name"
	tooLong     = "the policy is longer than Postfix reads from a tcp_table, use a socketmap"
)

// reply is a Reply and the result that it counts as.
type reply struct {
	socketmap.Reply
	result
	daneUnknown bool // TEMP, because DANE could not be looked up
	reporting   bool // it has report attributes
}

func found(data []byte, r result) reply {
	return reply{Reply: socketmap.Reply{Status: socketmap.OK, Data: data}, result: r}
}

func notFound(dst []byte, why result) reply {
	return reply{Reply: socketmap.Reply{Status: socketmap.NotFound, Data: dst}, result: why}
}

// whyNotFound returns the reason of NOTFOUND for an answer without an enforced policy.
func whyNotFound(a resolver.Answer) result {
	switch {
	case a.Policy != nil && a.Policy.Mode == mtasts.ModeTesting:
		return resultTesting
	case a.Policy != nil:
		return resultNone
	case a.Without == policies.StateAbsent:
		return resultAbsent
	case a.Without == policies.StateBroken:
		return resultBroken
	}
	return resultUnknown
}

func temp(dst []byte, reason string) reply {
	return reply{Reply: socketmap.Reply{Status: socketmap.Temp, Data: append(dst, reason...)}, result: resultTemp}
}

// maxReason limits the reason of a TEMP, in bytes.
const maxReason = 300

// daneTemp names the question that failed, if err says one.
func daneTemp(dst []byte, err error) reply {
	reason := daneUnknown
	if err != nil {
		reason = strings.TrimPrefix(err.Error(), resolver.ErrDANEUnknown.Error()+": ")
	}
	r := temp(dst, printable.Line(reason, maxReason))
	r.daneUnknown = true
	return r
}

// ReplyText returns, for a person, the reply to a lookup by a map name that the resolver
// answers so: a word and what follows. withheld is the reply that monitor mode
// replaced; "" if it replaced none.
func (p *Profile) ReplyText(name socketmap.MapName, hop resolver.NextHop, a resolver.Answer, err error) (reply, withheld string) {
	r, ok := p.settled(nil, hop, time.Now())
	if !ok {
		req := &socketmap.Request{Map: name.Name, Fits: name.Fits}
		r = p.replyOrError(nil, req, hop.Domain, a, err)
	}
	found := text(r.Reply)
	if reply = text(p.monitored(r)); reply != found {
		withheld = found
	}
	return reply, withheld
}

func text(r socketmap.Reply) string {
	return strings.TrimSpace(r.Status.String() + " " + string(r.Data))
}

// settled returns the reply to what needs no lookup: an override, and "not found"
// for names that are never asked of the DNS. ok is false if a lookup is needed.
func (p *Profile) settled(dst []byte, hop resolver.NextHop, at time.Time) (r reply, ok bool) {
	given, ok := p.Overrides.Find(hop, at)
	if ok {
		given.Data = append(dst, given.Data...)
		return reply{Reply: given, result: resultOverride}, true
	}
	if dnsclient.SpecialUse(hop.Domain.String()) {
		return notFound(dst, resultNoDomain), true
	}
	return reply{}, false
}

// replyOrError is reply, or the reply to an error of the resolver.
func (p *Profile) replyOrError(dst []byte, req *socketmap.Request, d mtasts.Domain, a resolver.Answer, err error) reply {
	switch {
	case err == nil:
		return p.reply(dst, req, d, a)
	case errors.Is(err, resolver.ErrDANEUnknown):
		return daneTemp(dst, err)
	default:
		return temp(dst, givenUp)
	}
}

// reply translates an answer into Postfix's words. DANE takes precedence over the
// policy (RFC 8461 section 2); docs/dane.md has the table.
func (p *Profile) reply(dst []byte, req *socketmap.Request, d mtasts.Domain, a resolver.Answer) reply {
	enforced := p.enforced(a.Policy)
	switch a.DANE {
	case dane.Full:
		return found(append(dst, levelDANEOnly...), resultDANEOnly)
	case dane.Partial:
		if enforced {
			return found(append(dst, levelDANEOnly...), resultDANEOnly)
		}
		return found(append(dst, levelDANE...), resultDANE)
	case dane.Unknown:
		if enforced {
			return daneTemp(dst, a.Failed)
		}
		return found(append(dst, levelDANE...), resultDANE)
	case dane.Unusable:
		if !enforced {
			return found(append(dst, levelDANE...), resultDANE)
		}
	}
	if !enforced {
		return notFound(dst, whyNotFound(a))
	}
	dst = AppendSecure(dst, a.Policy)
	m := p.named(req.Map)
	switch {
	case !req.Fits(dst): // checked here, so that the log has the reply that Postfix gets
		return temp(dst[:0], tooLong)
	case m.MaxAnswer > 0 && len(dst) > m.MaxAnswer:
		return temp(dst[:0], overLimit)
	}
	r := found(dst, resultSecure)
	if m.Reports && m.MaxAnswer == 0 {
		r.Data = AppendReport(dst, d, a.Policy, req.Fits)
		r.reporting = len(r.Data) > len(dst) // if they fit
	}
	return r
}

func (p *Profile) enforced(policy *mtasts.Policy) bool {
	if policy == nil {
		return false
	}
	return policy.Mode == mtasts.ModeEnforce || policy.Mode == mtasts.ModeTesting && p.EnforceTesting
}

// monitored withholds a reply in monitor mode.
func (p *Profile) monitored(r reply) socketmap.Reply {
	if p.Monitor {
		return socketmap.Reply{Status: socketmap.NotFound, Data: r.Data[:0]}
	}
	return r.Reply
}

// Reports says whether lookups by a map name are answered with report
// attributes.
func (p *Profile) Reports(name string) bool {
	return p.named(name).Reports
}

// named says how to answer lookups by a map name.
func (p *Profile) named(name string) Map {
	if m, ok := p.Maps[name]; ok {
		return m
	}
	return Map{Reports: strings.EqualFold(name, reportingMap)}
}
