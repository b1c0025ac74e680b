// Package explain shows the way from a domain to what Postfix is told, step by
// step, for a person who asks why.
package explain

import (
	"context"
	"errors"
	"fmt"

	"mta-sts-daemon/cmd/internal/clients"
	"mta-sts-daemon/resolver"
	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/socketmap/tlspolicy"
)

// Verdict is what a look at a domain comes to.
type Verdict string

const (
	HasPolicy  Verdict = "policy"
	NoPolicy   Verdict = "none"
	CannotTell Verdict = "cannot tell"
)

// Report is what each step found. A step that was not reached, or found
// nothing, is empty; Problem says where the way ended.
type Report struct {
	Domain    string   `json:"domain"`
	Records   []string `json:"txt_records,omitempty"`
	ID        string   `json:"id,omitempty"`
	Addresses []string `json:"policy_host_addresses,omitempty"`
	Mode      string   `json:"mode,omitempty"`
	MaxAge    int64    `json:"max_age,omitempty"` // seconds, as policies have it
	MX        []string `json:"mx_patterns,omitempty"`
	Policy    string   `json:"policy,omitempty"`
	MXHosts   []MXHost `json:"mx_hosts,omitempty"`
	MXProblem string   `json:"mx_problem,omitempty"`
	DANE      string   `json:"dane"`
	Problem   string   `json:"problem,omitempty"`
	Verdict   Verdict  `json:"verdict"`
	Postfix   string   `json:"postfix"`
}

// MXHost is one of the domain's MX hosts.
type MXHost struct {
	Name    string `json:"name"`
	Matches bool   `json:"matches_policy"`
}

// Options are what a look depends on beside the domain.
type Options struct {
	// Profile is how Postfix is answered.
	Profile tlspolicy.Profile
	// NoDANE says why DANE is not looked up; nil where it is.
	NoDANE error
}

// Look goes the way of a discovery for hop, with nothing cached.
func Look(ctx context.Context, c clients.Clients, hop resolver.NextHop, o Options) *Report {
	r := &Report{Domain: hop.Domain.String(), Verdict: CannotTell}
	var answer resolver.Answer
	policy, err := r.discover(ctx, c, hop.Domain)
	if err != nil {
		r.Problem = err.Error()
	} else {
		answer.Policy = &policy
		r.Verdict = HasPolicy
		r.Mode = policy.Mode.String()
		r.MaxAge = int64(policy.MaxAge.Seconds())
		r.MX = policy.MX
		r.Policy = policy.Text
		if err := r.matchMX(ctx, c, hop, policy); err != nil {
			r.MXProblem = err.Error()
		}
	}
	answer.DANE, err = r.askDANE(ctx, c, hop, o)
	r.Postfix = o.Profile.Tell(hop, answer, err)
	return r
}

// askDANE finds out what goes before the policy.
func (r *Report) askDANE(ctx context.Context, c clients.Clients, hop resolver.NextHop, o Options) (dane.Kind, error) {
	if o.NoDANE != nil {
		r.DANE = "not looked up: " + o.NoDANE.Error()
		return dane.None, nil
	}
	verdict, err := dane.New(c.DNS).Check(ctx, hop.Domain, hop.MX, hop.Port)
	if err != nil {
		r.DANE = err.Error()
		return dane.None, fmt.Errorf("%w: %w", resolver.ErrDANEUnknown, err)
	}
	r.DANE = verdict.Kind.String()
	return verdict.Kind, nil
}

// discover goes from the record to the policy. Where it ends early, it sets the
// verdict that the error means.
func (r *Report) discover(ctx context.Context, c clients.Clients, d mtasts.Domain) (mtasts.Policy, error) {
	var none mtasts.Policy
	txt, err := c.DNS.TXT(ctx, d.RecordName())
	if err != nil {
		return none, err
	}
	r.Records = txt.Records
	record, err := mtasts.ParseRecord(txt.Records)
	if err != nil {
		r.Verdict = NoPolicy
		return none, err
	}
	r.ID = record.ID

	// For the reader's eyes alone: the fetch looks them up for itself.
	if addresses, err := c.DNS.Addresses(ctx, d.PolicyHost()); err == nil {
		for _, a := range addresses.Records {
			r.Addresses = append(r.Addresses, a.String())
		}
	}
	text, err := c.Policies.Fetch(ctx, d)
	if err != nil {
		return none, err
	}
	policy, err := mtasts.ParsePolicy(text)
	if err != nil {
		r.Verdict = NoPolicy
		r.Policy = text
	}
	return policy, err
}

// matchMX holds the mail hosts of the next hop against the policy.
func (r *Report) matchMX(ctx context.Context, c clients.Clients, hop resolver.NextHop, p mtasts.Policy) error {
	hosts := []string{hop.Domain.String()}
	if hop.MX {
		answer, err := c.DNS.MX(ctx, hop.Domain.String())
		if err != nil {
			return err
		}
		if len(answer.Records) > 0 {
			hosts = nil
		}
		for _, mx := range answer.Records {
			if mx.Host == "" {
				return errors.New("the domain accepts no mail: its MX is null (RFC 7505)")
			}
			hosts = append(hosts, mx.Host)
		}
	}
	matching := 0
	for _, host := range hosts {
		d, err := mtasts.ParseDomain(host)
		matches := err == nil && p.Matches(d)
		if matches {
			matching++
		}
		r.MXHosts = append(r.MXHosts, MXHost{host, matches})
	}
	if matching == 0 && p.Mode == mtasts.ModeEnforce {
		return fmt.Errorf("no MX host matches the policy: mail to %s will be deferred", hop.Domain)
	}
	return nil
}

// ExitStatus is what the verdict means to scripts.
func (r *Report) ExitStatus() int {
	switch r.Verdict {
	case HasPolicy:
		return 0
	case NoPolicy:
		return 1
	}
	return 2
}
