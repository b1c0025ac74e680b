package lint

import (
	"strings"
	"testing"
)

func TestTLSRPT(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ txts, want string }{ // TXT records with | between them; the rua or the error
		{"v=TLSRPTv1; rua=mailto:tls@a.example", "mailto:tls@a.example"},
		{"v=TLSRPTv1;rua=mailto:tls@a.example , https://a.example/r;", "mailto:tls@a.example https://a.example/r"},
		{"v=TLSRPTv1 ; x=y; rua=https://a.example/r?x=y", "https://a.example/r?x=y"},
		{"v=spf1 -all|v=TLSRPTv1; rua=mailto:tls@a.example", "mailto:tls@a.example"},
		{"", "no TLSRPT record"},
		{"v=TLSRPTv1", "no TLSRPT record"},
		{"v=tlsrptv1; rua=mailto:tls@a.example", "no TLSRPT record"},
		{"v=TLSRPTv1; rua=mailto:a@a.example|v=TLSRPTv1; rua=mailto:b@a.example", "there are 2 TLSRPT records, RFC 8460 wants exactly one"},
		{"v=TLSRPTv1;", `field "" is not name=value`},
		{"v=TLSRPTv1; x=y", "it has no rua, so reports go nowhere"},
		{"v=TLSRPTv1; rua", `field "rua" is not name=value`},
		{"v=TLSRPTv1; rua=", `field "rua=" is not name=value`},
		{"v=TLSRPTv1; rua=tls@a.example", `rua "tls@a.example" is neither mailto:ADDRESS nor https://HOST/`},
		{"v=TLSRPTv1; rua=http://a.example/", `rua "http://a.example/" is neither mailto:ADDRESS nor https://HOST/`},
		{"v=TLSRPTv1; rua=mailto:a@a.example!10m", `rua "mailto:a@a.example!10m" is not a URI`},
		{"v=TLSRPTv1; rua=mailto:a@a.example,", `rua "" is neither mailto:ADDRESS nor https://HOST/`},
		{"v=TLSRPTv1; rua=https://a.example/\x1b[31m", `rua "https://a.example/\x1b[31m" is not a URI`},
	} {
		rua, err := TLSRPT(strings.Split(tt.txts, "|"))
		got := strings.Join(rua, " ")
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%q: %s, want %s", tt.txts, got, tt.want)
		}
	}
}
