package admin

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"mta-sts-daemon/resolver"
	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/policies"
	"mta-sts-daemon/socketmap"
	"mta-sts-daemon/socketmap/tlspolicy"
)

// expiringWithin is how soon a failing policy ends that is called expiring, as in the
// metric mta_sts_policies_expiring.
const expiringWithin = 48 * time.Hour

// list yields the domains that have a policy, and then those that have none and
// trouble.
func (c Controls) list(yield func(Listed) bool) {
	broken := map[mtasts.Domain]resolver.Known{}
	for k := range c.Resolver.Broken {
		broken[k.Domain] = k
	}
	deferred := c.deferrals()
	for k := range c.Resolver.Policies {
		if b, ok := broken[k.Domain]; ok && k.State == policies.StateExpired {
			k.Failure = b.Failure
		}
		delete(broken, k.Domain)
		if !yield(c.listed(k, deferred[k.Domain])) {
			return
		}
		delete(deferred, k.Domain)
	}
	for d, k := range broken {
		if !yield(c.listed(k, deferred[d])) {
			return
		}
		delete(deferred, d)
	}
	for d, of := range deferred {
		k, _ := c.Resolver.Brief(d)
		k.Domain = d
		if !yield(c.listed(k, of)) {
			return
		}
	}
}

// deferrals returns the resolver's Deferrals, except next hops that an override applies to
// now: Postfix does not get TEMP for them any more.
func (c Controls) deferrals() map[mtasts.Domain][]resolver.Deferral {
	all := c.Resolver.Deferrals()
	for d, of := range all {
		all[d] = slices.DeleteFunc(of, func(f resolver.Deferral) bool {
			reply, withheld := c.ReplyText(socketmap.MapName{}, f.NextHop, resolver.Answer{}, resolver.ErrDANEUnknown)
			return !strings.HasPrefix(cmp.Or(withheld, reply), "TEMP")
		})
		if len(all[d]) == 0 {
			delete(all, d)
		}
	}
	return all
}

// MismatchDefers reports whether mail to the domain is deferred, or would be in mode
// enforce, while no MX host matches its policy: Postfix gets that policy's answer or TEMP.
// With DANE or an override it gets another answer.
func (l Listed) MismatchDefers() bool {
	answer := cmp.Or(l.Withheld, l.Answer)
	secure := tlspolicy.AppendSecure([]byte("OK "), &mtasts.Policy{MX: l.MX})
	return slices.Contains(l.State, StateMismatch) && (answer == string(secure) || strings.HasPrefix(answer, "TEMP"))
}

func (c Controls) listed(k resolver.Known, deferred []resolver.Deferral) Listed {
	return Listed{condition(k, deferred), c.policy(k, deferred)}
}

// condition puts a domain's state into the socket's words.
func condition(k resolver.Known, deferred []resolver.Deferral) Condition {
	c := Condition{
		State:           words(k, len(deferred) > 0),
		RecordGone:      utc(k.RecordGone),
		Mismatch:        utc(k.Mismatch),
		MismatchLookups: k.Deferred,
		Reason:          k.Reason,
	}
	if f := k.Failure; f != nil {
		c.Failure = &Failure{Result: f.Word, Reason: f.Reason, ID: f.ID, Count: f.Count,
			Since: utc(f.Since), Retry: utc(f.Retry), Lookups: f.Lookups}
	}
	for _, d := range deferred {
		c.Deferred = append(c.Deferred, Deferral{NextHop: nextHop(d.NextHop), Reason: d.Reason,
			Since: utc(d.Since), Last: utc(d.Last), Lookups: d.Lookups})
	}
	return c
}

// words returns the domain's state and what else applies, in the order of States.
func words(k resolver.Known, deferred bool) []string {
	state := string(k.State)
	if state == "" {
		state = StateUnknown
	}
	live := k.Policy != nil && k.State != policies.StateExpired
	applies := map[string]bool{
		StateBroken:     k.State == policies.StateExpired && k.Failure != nil && k.Failure.Word != "",
		StateTemp:       deferred,
		StateMismatch:   live && !k.Mismatch.IsZero(),
		StateFailing:    k.Failing,
		StateExpiring:   k.Failing && k.State == policies.StateEnforce && time.Until(k.Expires) <= expiringWithin,
		StateRecordGone: live && !k.RecordGone.IsZero(),
	}
	applies[state] = true
	return slices.DeleteFunc(States(), func(word string) bool { return !applies[word] })
}

// policy puts a domain's policy into the socket's words.
func (c Controls) policy(k resolver.Known, deferred []resolver.Deferral) Policy {
	hop := resolver.NextHop{Domain: k.Domain, MX: true, Port: dane.SMTPPort}
	answer := resolver.Answer{DANE: k.DANE}
	if k.Policy != nil && k.State != policies.StateExpired {
		answer.Policy = k.Policy
	}
	var err error
	if i := slices.IndexFunc(deferred, func(d resolver.Deferral) bool { return d.NextHop == hop }); i >= 0 {
		answer.Failed = errors.New(deferred[i].Reason)
		if k.DANE == 0 {
			err = fmt.Errorf("%w: %w", resolver.ErrDANEUnknown, answer.Failed)
		}
	}
	p := Policy{Domain: k.Domain.String()}
	p.Answer, p.Withheld = c.ReplyText(socketmap.MapName{}, hop, answer, err)
	if c.TCPTable {
		reply, withheld := c.ReplyText(socketmap.MapName{TCP: true}, hop, answer, err)
		if tcp := cmp.Or(withheld, reply); tcp != cmp.Or(p.Withheld, p.Answer) {
			p.TCPTable = tcp
		}
	}
	if k.Policy == nil {
		return p
	}
	p.Mode, p.ID, p.MX, p.MaxAge = k.Policy.Mode.String(), k.ID, k.Policy.MX, int64(k.Policy.MaxAge/time.Second)
	p.Fetched, p.Expires, p.Recheck, p.Refresh, p.Used = utc(k.Fetched), utc(k.Expires), utc(k.Recheck), utc(k.Refresh), utc(k.Used)
	p.Failures = failures(k)
	return p
}

// failures returns how many attempts to fetch the policy failed in a row.
func failures(k resolver.Known) int {
	if k.Failure == nil {
		return 0
	}
	return k.Failure.Count
}

func (c Controls) describe(k resolver.Known, deferred []resolver.Deferral) Domain {
	d := Domain{Domain: k.Domain.String(), Condition: condition(k, deferred)}
	if k.Failure != nil {
		d.FailedID = k.Failure.ID
	}
	switch {
	case k.Policy != nil:
		p := c.policy(k, deferred)
		d.Policy = &p
	case !k.Expires.After(time.Now()):
	case k.State == policies.StateAbsent:
		d.NoneUntil = utc(k.Expires)
	default:
		d.Retry = utc(k.Expires)
	}
	for _, v := range k.Verdicts {
		d.DANE = append(d.DANE, Verdict{NextHop: nextHop(v.NextHop), Kind: v.Kind.String(), Until: utc(v.Until)})
	}
	return d
}

// nextHop writes a next hop as Postfix does.
func nextHop(h resolver.NextHop) string {
	name := h.Domain.String()
	if !h.MX {
		name = "[" + name + "]"
	}
	if h.Port != dane.SMTPPort {
		name = fmt.Sprintf("%s:%d", name, h.Port)
	}
	return name
}

// utc leaves the zero Time as it is.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Truncate(time.Second)
}
