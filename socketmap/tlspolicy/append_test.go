package tlspolicy

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"mta-sts-daemon/resolver/mtasts"
)

func domain(tb testing.TB, s string) mtasts.Domain {
	tb.Helper()
	d, err := mtasts.ParseDomain(s)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func policy(tb testing.TB, text string) *mtasts.Policy {
	tb.Helper()
	p, err := mtasts.ParsePolicy(text)
	if err != nil {
		tb.Fatal(err)
	}
	return &p
}

func enforce(mx ...string) string {
	text := "version: STSv1\nmode: enforce\nmax_age: 86400\n"
	for _, pattern := range mx {
		text += "mx: " + pattern + "\n"
	}
	return text
}

// maxData is the maximum length of a socketmap reply's data.
const maxData = 99_980

func within(limit int) func([]byte) bool {
	return func(data []byte) bool { return len(data) <= limit }
}

func TestAppendSecure(t *testing.T) {
	for _, tc := range []struct {
		mx   []string
		want string
	}{
		{[]string{"mx.example.com"}, "secure match=mx.example.com servername=hostname"},
		{[]string{"*.example.com"}, "secure match=.example.com servername=hostname"},
		{[]string{"b.example", "*.A.example", "c.example."}, "secure match=b.example:.a.example:c.example servername=hostname"},
		{[]string{"MX.example.com", "mx.EXAMPLE.com.", "mx.example.com"}, "secure match=mx.example.com servername=hostname"},
		// Postfix would take these for words of its own.
		{[]string{"nexthop", "mx.example.com", "hostname", "dot-nexthop"}, "secure match=mx.example.com servername=hostname"},
		{[]string{"192.0.2.1", "mx.example.com", "2001:db8::1"}, "secure match=mx.example.com servername=hostname"},
	} {
		if got := string(AppendSecure(nil, policy(t, enforce(tc.mx...)))); got != tc.want {
			t.Errorf("%v:\n got %s\nwant %s", tc.mx, got, tc.want)
		}
	}
}

func TestAppendReport(t *testing.T) {
	text := "\ufeffversion: STSv1\r\nmode:\tenforce  \r\n\r\nmax_age: 86400\nmx: *.Example.com\nmx: mx.example.net.\nmx: *.example.com\n" +
		"note: {braces}\nnote: open {\nnote: shut }\nnote: b\u00fccher\nnote: 50% \"quoted\" = fine\nmx: *.Example.com\nempty:"
	want := " policy_type=sts policy_domain=example.com mx_host_pattern=*.example.com mx_host_pattern=mx.example.net" +
		" { policy_string = version: STSv1 } { policy_string = mode: enforce } { policy_string = max_age: 86400 }" +
		" { policy_string = mx: *.Example.com } { policy_string = mx: mx.example.net. } { policy_string = mx: *.example.com }" +
		` { policy_string = note: 50% "quoted" = fine } { policy_string = mx: *.Example.com } { policy_string = empty: }`
	if got := string(AppendReport(nil, domain(t, "example.com"), policy(t, text), within(maxData))); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestAppendReportKeepsWithinItsLimit(t *testing.T) {
	d, p := domain(t, "example.com"), policy(t, enforce("a.example", "b.example"))
	full := string(AppendReport([]byte("secure"), d, p, within(1000)))
	patterns := full[:strings.Index(full, " { policy_string")]
	for _, tc := range []struct {
		limit int
		want  string
	}{
		{len(full), full},
		{len(full) - 1, patterns},
		{len(patterns), patterns},
		{len(patterns) - 1, "secure"}, // never a part of the patterns
		{0, "secure"},
	} {
		if got := string(AppendReport([]byte("secure"), d, p, within(tc.limit))); got != tc.want {
			t.Errorf("limit %d: %s", tc.limit, got)
		}
	}
}

// The longest policies still fit into what Postfix reads.
func TestLongestPolicyFits(t *testing.T) {
	text := enforce()
	for i := 0; len(text) < mtasts.MaxPolicyLen-len("mx:a.999999\n"); i++ {
		text += fmt.Sprintf("mx:a.x%d\n", i)
	}
	p := policy(t, text)
	data := AppendReport(AppendSecure(nil, p), domain(t, "example.com"), p, within(maxData))
	if len(data) > maxData {
		t.Errorf("%d bytes", len(data))
	}
	if !strings.HasSuffix(string(data), " servername=hostname") {
		t.Errorf("attributes that cannot all fit were not left out: %s", data[len(data)-80:])
	}
}

// Whatever the author of a policy writes, Postfix reads one level, the
// attributes that belong there and policy strings that are lines of the policy.
func FuzzAppend(f *testing.F) {
	for _, seed := range []string{
		enforce("mx.example.com", "*.example.com"),
		enforce("mx.example.com") + "x: } policy_ttl=1 { policy_string = y\n",
		enforce("mx.example.com") + "x: \u2028 \\ \" ' = :\n",
		"version: STSv1\r\nmode: enforce\r\nmax_age: 1\r\nmx: a.b\r\nmx:\t*.C.d. \t\r\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := mtasts.ParsePolicy(text)
		if err != nil || len(p.MX) == 0 {
			return
		}
		d := domain(t, "example.com")
		reply := string(AppendReport(AppendSecure(nil, &p), d, &p, within(maxData)))
		if !dialect.MatchString(reply) {
			t.Fatalf("Postfix would misread %q", reply)
		}
	})
}

// dialect is all that a reply can be. Printable ASCII without braces stands for
// a policy's line.
var dialect = regexp.MustCompile(`^secure match=\.?` + hostName + `(:\.?` + hostName + `)* servername=hostname` +
	`( policy_type=sts policy_domain=example\.com( mx_host_pattern=(\*\.)?` + hostName + `)+` +
	`( \{ policy_string = [!-z|~][ -z|~]* \})*)?$`)

const hostName = `[a-z0-9]([a-z0-9.-]*[a-z0-9])?`
