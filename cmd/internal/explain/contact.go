package explain

import (
	"context"
	"strings"

	"mta-sts-daemon/cmd/internal/lint"
	"mta-sts-daemon/resolver/dnsclient"
)

// Directory has the DNS records that name the owner of a domain; *dnsclient.Client is one.
type Directory interface {
	TXT(ctx context.Context, name string) (dnsclient.Answer[string], error)
	Mailbox(ctx context.Context, zone string) (string, error)
}

// Contact returns the mail address for questions about a domain's faults: that of its
// TLSRPT record, else that of its zone's SOA record, else its postmaster's.
func Contact(ctx context.Context, dns Directory, domain string) string {
	if answer, err := dns.TXT(ctx, tlsrptLabels+domain); err == nil {
		rua, _ := lint.TLSRPT(answer.Records)
		if to := mailto(rua); to != "" {
			return to
		}
	}
	if to, err := dns.Mailbox(ctx, domain); err == nil && to != "" {
		return printed(to)
	}
	return "postmaster@" + domain
}

// mailto returns the first mail address in rua; "" if it has none.
func mailto(rua []string) string {
	for _, uri := range rua {
		if to, ok := strings.CutPrefix(uri, "mailto:"); ok {
			to, _, _ = strings.Cut(to, "?")
			return printed(to)
		}
	}
	return ""
}
