package admin

import (
	"fmt"
	"time"

	"mta-sts-daemon/resolver"
)

// policy puts a policy into the socket's words.
func (c Controls) policy(k resolver.Known) Policy {
	hop := resolver.NextHop{Domain: k.Domain, MX: true, Port: smtpPort}
	answer := resolver.Answer{DANE: k.DANE}
	if k.Expires.After(time.Now()) {
		answer.Policy = k.Policy
	}
	return Policy{
		Domain:   k.Domain.String(),
		Mode:     k.Policy.Mode.String(),
		ID:       k.ID,
		MX:       k.Policy.MX,
		MaxAge:   int64(k.Policy.MaxAge / time.Second),
		Answer:   c.Tell(hop, answer, nil),
		Fetched:  utc(k.Fetched),
		Expires:  utc(k.Expires),
		Recheck:  utc(k.Recheck),
		Refresh:  utc(k.Refresh),
		Used:     utc(k.Used),
		Failures: failures(k),
	}
}

// failures returns how many attempts to fetch the policy failed in a row.
func failures(k resolver.Known) int {
	if k.Failure == nil {
		return 0
	}
	return k.Failure.Count
}

func (c Controls) describe(k resolver.Known) Domain {
	d := Domain{Domain: k.Domain.String()}
	if k.Failure != nil {
		d.FailedID = k.Failure.ID
	}
	if k.Policy != nil {
		p := c.policy(k)
		d.Policy = &p
	} else {
		d.NoneUntil = utc(k.Expires)
	}
	for _, v := range k.Verdicts {
		d.DANE = append(d.DANE, Verdict{NextHop: nextHop(v.NextHop), Kind: v.Kind.String(), Until: utc(v.Until)})
	}
	return d
}

const smtpPort = 25

// nextHop writes a next hop as Postfix does.
func nextHop(h resolver.NextHop) string {
	name := h.Domain.String()
	if !h.MX {
		name = "[" + name + "]"
	}
	if h.Port != smtpPort {
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
