package explain

import (
	"context"

	"mta-sts-daemon/cmd/internal/lint"
)

// tlsrptLabels are put before a domain to find its TLSRPT record, RFC 8460
// section 3.
const tlsrptLabels = "_smtp._tls."

// askTLSRPT looks up the addresses to which the domain wants reports.
func (l *look) askTLSRPT(ctx context.Context) {
	t := &l.report.TLSRPT
	t.Name = tlsrptLabels + l.hop.Domain.String()
	t.TXT = []string{}
	answer, err := l.DNS.TXT(ctx, t.Name)
	t.Failed = err != nil
	if err == nil {
		t.TXT = append(t.TXT, answer.Records...)
		t.RUA, err = lint.TLSRPT(answer.Records)
	}
	if err != nil {
		t.Problem, l.noReports = err.Error(), err
	}
}
