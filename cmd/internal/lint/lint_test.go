package lint

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mta-sts-daemon/resolver/mtasts"
)

// show writes findings as the tables below have them.
func show(findings []Finding) string {
	var lines []string
	for _, f := range findings {
		lines = append(lines, fmt.Sprintf("%s: %v", f.Severity, f))
	}
	return strings.Join(lines, "\n")
}

func TestPolicy(t *testing.T) {
	t.Parallel()
	const good = "version: STSv1\nmode: enforce\nmx: mx.a.example\nmax_age: 604800\n"
	for _, tt := range []struct{ title, text, want string }{
		{"good", good, ""},
		{"good CRLF, no last line end", strings.TrimSuffix(strings.ReplaceAll(good, "\n", "\r\n"), "\r\n"), ""},
		{"BOM", "\ufeff" + good, "warning: line 1: a byte order mark, which not every sender accepts"},
		{"mixed line ends", strings.Replace(good, "\n", "\r\n", 1), "note: some lines end with CRLF and some with LF alone"},
		{"CR alone", strings.ReplaceAll(good, "\n", "\r"), "warning: its lines end with CR alone; RFC 8461 has CRLF or LF"},
		{"long", good + "x: " + strings.Repeat("y", 4096) + "\n", "note: 4162 bytes long; an answer with all of it does not fit into a tcp_table reply\n" +
			`note: line 5: key "x" is unknown and ignored`},
		{"testing", strings.Replace(good, "enforce", "testing", 1), "note: mode testing: failures are reported, mail is delivered all the same"},
		{"none", strings.Replace(good, "enforce", "none", 1), "note: mode none: the domain asks for no protection"},
		{"max_age 0", strings.Replace(good, "604800", "0", 1), "warning: max_age 0: the policy is not kept at all"},
		{"max_age of hours", strings.Replace(good, "604800", "86399", 1),
			"warning: max_age is under a day: who keeps senders from the policy host for that long switches the policy off"},
		{"max_age of days", strings.Replace(good, "604800", "86400", 1), "note: max_age is under a week; RFC 8461 section 3.2 expects weeks"},
		{"max_age of years", strings.Replace(good, "604800", "99999999", 1), "note: max_age is a year, the most that counts"},
		{"blank lines", "\n" + good + "\n", "note: line 1: a blank line, which RFC 8461 does not allow; not every sender accepts it"},
		{"twice", good + "mode: none\nmx: MX.a.example.\n", "warning: line 5: duplicate key mode; only the first is used\n" +
			`note: line 6: duplicate mx "MX.a.example."`},
		{"no use", good + "mx: 192.0.2.1\nmx: 2001:db8::1\nmx: localhost\nmx: *.com\n",
			`warning: line 5: mx "192.0.2.1" is left out: an address, and MX hosts are names` + "\n" +
				`warning: line 6: mx "2001:db8::1" is left out: an address, and MX hosts are names` + "\n" +
				`warning: line 7: mx "localhost" is left out: a single label, and MX hosts have full names` + "\n" +
				`warning: line 8: mx "*.com" is every domain of a top-level domain`},
		{"slips", "Version: STSv1\nmdoe: enforce\nMX: mx.a.example\nmax-age: 604800\nmodes: x\nmod: y\nnode: z\nbode x: 1\n",
			`warning: line 1: key "Version" is unknown and ignored; is version meant?` + "\n" +
				`warning: line 2: key "mdoe" is unknown and ignored; is mode meant?` + "\n" +
				`warning: line 3: key "MX" is unknown and ignored; is mx meant?` + "\n" +
				`warning: line 4: key "max-age" is unknown and ignored; is max_age meant?` + "\n" +
				`warning: line 5: key "modes" is unknown and ignored; is mode meant?` + "\n" +
				`warning: line 6: key "mod" is unknown and ignored; is mode meant?` + "\n" +
				`warning: line 7: key "node" is unknown and ignored; is mode meant?`},
		{"other keys", good + "contact: x\nmo: y\nmx2: z\ndome: z\n", `note: line 5: key "contact" is unknown and ignored` + "\n" +
			`note: line 6: key "mo" is unknown and ignored` + "\n" +
			`note: line 7: key "mx2" is unknown and ignored` + "\n" +
			`note: line 8: key "dome" is unknown and ignored`},
		{"web page", "<!DOCTYPE html>\n<a href=\"https://a.example/\">\x1b[31m</a>\n", ""},
		{"YAML", "---\n" + good + "...\n", "warning: line 1: --- belongs to YAML; a policy has only lines of the form key: value\n" +
			"warning: line 6: ... belongs to YAML; a policy has only lines of the form key: value"},
		{"indented", strings.ReplaceAll(good, "\nmx", "\n  mx"), "warning: line 3: there is a blank before mx; a line begins with its key"},
		{"mode enforced", strings.Replace(good, "enforce", "enforced", 1), `warning: line 2: mode "enforced" is unknown; is enforce meant?`},
		{"mode Testing", strings.Replace(good, "enforce", "Testing", 1), `warning: line 2: mode "Testing" is unknown; is testing meant?`},
		{"another mode", strings.Replace(good, "enforce", "strict", 1), ""},
		{"empty", "", ""},
	} {
		if diff := cmp.Diff(tt.want, show(Policy(tt.text))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.title, diff)
		}
	}
}

func TestPolicyIsBounded(t *testing.T) {
	t.Parallel()
	found := Policy(strings.Repeat("x: y\n", 1000))
	if n := len(found); n != maxFindings+1 || found[n-1].Text != "981 more findings not shown" {
		t.Errorf("%d findings, the last %v, want %d and how many more", n, found[n-1], maxFindings)
	}
}

func TestRecord(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		txt, want string
	}{
		{"v=STSv1; id=1;", ""},
		{"v=STSv1 ;id=1", ""},
		{"v=spf1 -all", ""},
		{"", ""},
		{"v=STSv1; id=1; max_age=1", `note: field "max_age" is ignored; a record has v and id`},
		{"v=STSv1; id=1; id=2", "warning: it has more than one id, only the first counts"},
		{"v=STSv1 id=1", `warning: "v=STSv1 id=1" is passed over: no semicolon behind v=STSv1`},
		{" v=STSv1; id=1", `warning: " v=STSv1; id=1" is passed over: nothing may stand before v=STSv1`},
		{`"v=STSv1; id=1"`, `warning: "\"v=STSv1; id=1\"" is passed over: nothing may stand before v=STSv1`},
		{"V=STSV1; id=1", `warning: "V=STSV1; id=1" is passed over: v=STSv1 is case-sensitive`},
		{"v=TLSRPTv1; rua=mailto:a@b", `warning: "v=TLSRPTv1; rua=mailto:a@b" is passed over: a TLSRPT record belongs at _smtp._tls`},
		{"v=STSv2; id=1", `warning: "v=STSv2; id=1" is passed over: the only version is v=STSv1`},
		{"id=1; v=STSv1", `warning: "id=1; v=STSv1" is passed over: it does not begin with v=STSv1;`},
		{"\x1b\xffSTSv1" + strings.Repeat("x", 100), `warning: "\x1b\xffSTSv1` + strings.Repeat("x", 57) + `"... is passed over: it does not begin with v=STSv1;`},
	} {
		if diff := cmp.Diff(tt.want, show(Record([]string{tt.txt}))); diff != "" {
			t.Errorf("%q (-want +got):\n%s", tt.txt, diff)
		}
	}
}

func TestCoverage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		title, mode string
		hosts       []string
		want        string
	}{
		{"all", "enforce", []string{"mx.a.example", "1.b.example"}, ""},
		{"idle pattern", "enforce", []string{"mx.a.example"}, `note: mx "*.b.example" matches no MX host`},
		{"other host", "testing", []string{"mx.a.example", "1.b.example", "1.2.b.example"}, `warning: MX host "1.2.b.example" matches no mx of the policy`},
		{"many", "enforce", []string{"1.c.example", "2.c.example", "3.c.example", "4.c.example", "5.c.example", "6.c.example", "7.c.example"},
			`note: mx "mx.a.example", "*.b.example" match no MX host` + "\n" +
				`warning: MX hosts "1.c.example", "2.c.example", "3.c.example", "4.c.example", "5.c.example" and 2 more match no mx of the policy`},
		{"no host name", "enforce", []string{"mx.a.example", "1.b.example", `\027`}, `warning: MX host "\\027" matches no mx of the policy`},
		{"none", "none", []string{"x.example"}, ""},
	} {
		p, err := mtasts.ParsePolicy("version: STSv1\nmode: " + tt.mode + "\nmx: mx.a.example\nmx: *.b.example\nmax_age: 86400\n")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, show(Coverage(p, tt.hosts))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.title, diff)
		}
	}
}
