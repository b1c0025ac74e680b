package explain

import (
	"context"

	"golang.org/x/sync/errgroup"

	"mta-sts-daemon/cmd/internal/lint"
	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/dnsclient"
)

const (
	// concurrency bounds how many of them at once.
	concurrency = 4
)

// findHosts finds the hosts that take the mail, and looks at each. Without MX
// records that is the domain itself (RFC 5321 section 5.1).
func (l *look) findHosts(ctx context.Context) {
	mx := &l.report.MX
	mx.Hosts = []Host{}
	if l.hop.MX {
		answer, err := l.DNS.MX(ctx, l.hop.Domain.String())
		if err != nil {
			mx.Problem = err.Error()
			return
		}
		mx.NoName, mx.Authenticated = answer.NoName, answer.Authenticated
		for _, record := range answer.Records {
			if record.Host == "" {
				mx.Null = true
				continue
			}
			mx.Hosts = append(mx.Hosts, Host{Name: record.Host, Preference: &record.Preference})
		}
	}
	if len(mx.Hosts) == 0 && !mx.Null && !mx.NoName {
		mx.Hosts = append(mx.Hosts, Host{Name: l.hop.Domain.String()})
	}
	var group errgroup.Group
	group.SetLimit(concurrency)
	for i := range mx.Hosts[:min(len(mx.Hosts), dane.MaxHosts)] {
		group.Go(func() error {
			l.lookAtHost(ctx, &mx.Hosts[i])
			return nil
		})
	}
	group.Wait() // a host that cannot be looked at says so itself
}

func (l *look) lookAtHost(ctx context.Context, h *Host) {
	h.Addresses = []string{}
	answer, err := l.DNS.Addresses(ctx, h.Name)
	if err != nil {
		h.Problem = err.Error()
	}
	h.Alias = answer.Alias
	addrs := answer.Records
	if len(addrs) == 0 && l.Native != nil {
		if native, err := l.Native(ctx, h.Name); err == nil {
			addrs, h.Problem = native, ""
		}
	}
	for _, addr := range addrs {
		h.Addresses = append(h.Addresses, addr.Unmap().String())
	}
	if l.NoDANE != nil {
		return
	}
	records := &tlsaRecords{DNS: l.DNS}
	verdict, err := dane.New(records).CheckHost(ctx, h.Name, l.hop.Port)
	h.DANE = hostDANE(verdict.Kind, err)
	h.TLSA = records.seen
}

// hostDANE translates the result of a check of one host alone.
func hostDANE(k dane.Kind, err error) HostDANE {
	switch {
	case err != nil || k == dane.Unknown:
		return HostUnknown
	case k == dane.Full:
		return HostUsable
	case k == dane.Unusable:
		return HostUnusable
	}
	return HostNoTLSA
}

// tlsaRecords takes down the TLSA records that a check sees.
type tlsaRecords struct {
	dane.DNS
	seen []string
}

func (t *tlsaRecords) TLSA(ctx context.Context, name string) (dnsclient.Answer[dnsclient.TLSA], error) {
	answer, err := t.DNS.TLSA(ctx, name)
	for _, r := range answer.Records {
		t.seen = append(t.seen, r.String())
	}
	return answer, err
}

// matchHosts holds the mail hosts against the policy that Postfix is answered
// by.
func (l *look) matchHosts() {
	mx := &l.report.MX
	mx.Patterns = l.patterns()
	for i, h := range mx.Hosts {
		mx.Hosts[i].MatchedBy = lint.MatchedBy(mx.Patterns, h.Name)
	}
	if l.policy != nil && len(mx.Hosts) > 0 {
		l.report.Policy.Findings = append(l.report.Policy.Findings, lint.Coverage(*l.policy, names(mx.Hosts))...)
	}
	if len(mx.Hosts) > dane.MaxHosts {
		mx.LeftNames = names(mx.Hosts[dane.MaxHosts:])
		mx.Left = len(mx.LeftNames)
		mx.Hosts = mx.Hosts[:dane.MaxHosts]
	}
}

func names(hosts []Host) []string {
	var names []string
	for _, h := range hosts {
		names = append(names, h.Name)
	}
	return names
}
