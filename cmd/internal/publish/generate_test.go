package publish

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/resolvertest"
)

func (w *world) generate(t *testing.T, name string, r Request) *Publication {
	t.Helper()
	return Generate(t.Context(), w.Clients, domain(t, name), r, w.options())
}

// steady puts words in place of dates.
func steady(text string) string {
	text = regexp.MustCompile(`\d{8}T\d{6}Z`).ReplaceAllString(text, "ID")
	return regexp.MustCompile(`\d{4}-\d\d-\d\d`).ReplaceAllString(text, "DATE")
}

// unpublished is a domain with one good MX host and nothing else.
func (w *world) unpublished(t *testing.T, domain string) {
	w.dns.Add(domain+". 300 IN MX 10 mx."+domain+".", "mx."+domain+". 300 IN A 127.0.0.1")
	w.serveMail(t, "mx."+domain, w.greet("mx."+domain, resolvertest.Leaf{Names: []string{"mx." + domain}}))
}

func TestGenerate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.unpublished(t, "new.example")
	w.publish(t, "testing.example", text("testing", "testing.example"))
	w.publish(t, "enforce.example", strings.Replace(text("enforce", "enforce.example"), "1209600", "2592000", 1))
	for _, test := range []struct {
		domain  string
		request Request
		policy  string
		records string
		plan    []string // the beginnings of some steps, in order
	}{
		{"new.example", Request{Stage: StageTesting},
			"version: STSv1\r\nmode: testing\r\nmx: mx.new.example\r\nmax_age: 1209600\r\n",
			`_mta-sts.new.example. 3600 IN TXT "v=STSv1; id=ID"
; mta-sts.new.example. 3600 IN CNAME the name of the web server, or A and AAAA with its addresses
_smtp._tls.new.example. 3600 IN TXT "v=TLSRPTv1; rua=mailto:tlsrpt@new.example"`,
			[]string{"Publish the TLSRPT record", "Serve the policy at https://mta-sts.new.example/.well-known/mta-sts.txt", "Then publish the TXT record", "Run: mta-sts-daemon check new.example", "Send a message", "Read the reports for two weeks, until DATE", "If no report"}},
		{"testing.example", Request{Stage: StageEnforce, MaxAge: 60 * day, MX: []string{"*.testing.example"}, RUA: "https://r.example/"},
			"version: STSv1\r\nmode: enforce\r\nmx: *.testing.example\r\nmax_age: 5184000\r\n",
			`_mta-sts.testing.example. 3600 IN TXT "v=STSv1; id=ID"
_smtp._tls.testing.example. 3600 IN TXT "v=TLSRPTv1; rua=https://r.example/"`,
			[]string{"Run: mta-sts-daemon check testing.example. Repair every fault first", "Serve the policy", "Then publish", "Run mta-sts-daemon check testing.example again, and by cron", "Before an MX host is added or renamed: first add it to the policy and publish a new id, wait 60 days", "The way back takes 60 days"}},
		{"enforce.example", Request{Stage: StageRemove},
			"version: STSv1\r\nmode: none\r\nmax_age: 86400\r\n",
			`_mta-sts.enforce.example. 3600 IN TXT "v=STSv1; id=ID"`,
			[]string{"Serve the policy with mode none", "Then publish the TXT record with the new id", "Run: ", "Wait 30 days, until DATE", "Remove the TXT record at _mta-sts.enforce.example", "Remove the policy and the name mta-sts.enforce.example"}},
		{"enforce.example", Request{Stage: StageTesting}, "version: STSv1\r\nmode: testing\r\nmx: mx.enforce.example\r\nmax_age: 1209600\r\n",
			`_mta-sts.enforce.example. 3600 IN TXT "v=STSv1; id=ID"`, []string{"Note: the domain enforces a policy now."}},
		{"new.example", Request{Stage: StageEnforce, RUA: "mailto:a@b.example"}, "version: STSv1\r\nmode: enforce\r\nmx: mx.new.example\r\nmax_age: 1209600\r\n", "",
			[]string{"Note: no policy in mode testing is published now. Better begin with: mta-sts-daemon generate --stage testing new.example"}},
	} {
		p := w.generate(t, test.domain, test.request)
		if p.ExitStatus() != 0 || p.Policy != test.policy {
			t.Errorf("%s, %+v: exit status %d, policy %q, want %q: %v", test.domain, test.request, p.ExitStatus(), p.Policy, test.policy, p.Refused)
		}
		if _, err := mtasts.ParsePolicy(p.Policy); err != nil {
			t.Errorf("%s, %+v: %v", test.domain, test.request, err)
		}
		if diff := cmp.Diff(test.records, steady(strings.Join(p.Records, "\n"))); diff != "" && test.records != "" {
			t.Errorf("%s, %+v: records, -want +got\n%s", test.domain, test.request, diff)
		}
		at := 0
		for _, step := range p.Plan {
			if at < len(test.plan) && strings.HasPrefix(steady(step), test.plan[at]) {
				at++
			}
		}
		if at < len(test.plan) {
			t.Errorf("%s, %+v: no step %q in its place:\n%s", test.domain, test.request, test.plan[at], p.planText())
		}
	}
}

// A name server reads the records as they were meant.
func TestGenerateZoneFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.unpublished(t, "new.example")
	for _, rua := range []string{"https://r.example/" + strings.Repeat("x", 400), `mailto:a\b@r.example`} {
		records := w.generate(t, "new.example", Request{Stage: StageTesting, RUA: rua}).Records
		for _, part := range strings.Split(records[len(records)-1], `"`) {
			if len(part) > 255 {
				t.Errorf("%s: a string of %d bytes", rua, len(part))
			}
		}
		record, err := dns.NewRR(records[len(records)-1])
		if err != nil {
			t.Errorf("%s: %v", rua, err)
			continue
		}
		wire := make([]byte, dns.Len(record)+10)
		n, err := dns.PackRR(record, wire, 0, nil, false)
		if err != nil {
			t.Errorf("%s: %v", rua, err)
			continue
		}
		var got strings.Builder
		for data := wire[n-int(record.Header().Rdlength) : n]; len(data) > 0; data = data[1+int(data[0]):] {
			got.Write(data[1 : 1+int(data[0])])
		}
		if want := "v=TLSRPTv1; rua=" + rua; got.String() != want {
			t.Errorf("got %s, want %s", got.String(), want)
		}
	}
}

func TestGenerateRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.dns.Add("null.example. 300 IN MX 0 .")
	w.unpublished(t, "private.example")
	w.dns.Remove("mx.private.example", 1)
	w.dns.Add("mx.private.example. 300 IN A 10.0.0.1")
	w.unpublished(t, "odd.example")
	w.dns.Add(`odd.example. 300 IN MX 5 a\010b.example.`)
	for name, words := range map[string]string{
		"null.example":    "the domain accepts no mail (null MX)",
		"missing.example": "the domain does not exist",
		"private.example": "it is in 10.0.0.0/8",
		"odd.example":     "policy invalid",
	} {
		p := w.generate(t, name, Request{Stage: StageEnforce})
		text := ""
		for _, f := range p.Refused {
			text += f.String() + "\n"
		}
		if p.ExitStatus() != ExitFault || p.Policy != "" || !strings.Contains(text, words) {
			t.Errorf("%s: exit status %d, %q, want %q", name, p.ExitStatus(), text, words)
		}
	}
}

// A policy names all MX hosts, also those that are not looked at, which is reported.
func TestGenerateLeftOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const hosts = dane.MaxHosts + 2
	want := ""
	for i := range hosts {
		host := fmt.Sprintf("mx%02d.many.example", i)
		w.dns.Add(fmt.Sprintf("many.example. 300 IN MX %d %s.", i, host), host+". 300 IN A 127.0.0.1")
		w.serveMail(t, host, w.greet(host, resolvertest.Leaf{Names: []string{host}}))
		want += "mx: " + host + "\r\n"
	}
	p := w.generate(t, "many.example", Request{Stage: StageEnforce})
	if p.ExitStatus() != ExitUnjudged || len(p.Unverified) != 1 || p.Unverified[0].Check != "left-out" || !strings.Contains(p.Policy, want) {
		t.Errorf("exit status %d, %+v", p.ExitStatus(), p)
	}
	p = w.generate(t, "many.example", Request{Stage: StageEnforce, MX: []string{"*.many.example"}})
	if p.ExitStatus() != ExitUnjudged || len(p.Unverified) != 1 {
		t.Errorf("one pattern: exit status %d, %+v", p.ExitStatus(), p)
	}
	var first []string
	for i := range dane.MaxHosts {
		first = append(first, fmt.Sprintf("mx%02d.many.example", i))
	}
	p = w.generate(t, "many.example", Request{Stage: StageEnforce, MX: first})
	if p.ExitStatus() != ExitFault || len(p.Refused) != 1 || !strings.Contains(p.Refused[0].Text, "no mx for mx20.many.example, mx21.many.example") {
		t.Errorf("without the last two: exit status %d, %+v", p.ExitStatus(), p)
	}
	p = w.generate(t, "many.example", Request{Stage: StageRemove})
	if p.ExitStatus() != ExitClean {
		t.Errorf("stage remove: exit status %d, %+v", p.ExitStatus(), p)
	}
}

// If no mail host answers, the policy is generated and reported as not verified.
func TestGenerateUnverified(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.dns.Add("silent.example. 300 IN MX 10 mx.silent.example.", "mx.silent.example. 300 IN A 127.0.0.1")
	w.ports["mx.silent.example"] = 1 // nobody listens
	p := w.generate(t, "silent.example", Request{Stage: StageTesting})
	if p.ExitStatus() != ExitUnjudged || len(p.Unverified) != 1 || p.Unverified[0].Check != "port-25" || !strings.Contains(p.Policy, "mx: mx.silent.example") {
		t.Errorf("exit status %d, %+v", p.ExitStatus(), p)
	}
}

// The error of a directory that cannot be made is one line.
func TestWriteNowhere(t *testing.T) {
	t.Parallel()
	dangling := filepath.Join(t.TempDir(), "dangling")
	if err := os.Symlink("missing", dangling); err != nil {
		t.Fatal(err)
	}
	if _, _, err := (&Publication{}).Write(dangling); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v", err)
	}
}

// A stage replaces the files of the one before, and web servers may read them.
func TestWrite(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "b")
	for _, policy := range []string{"one\r\n", "two\r\n"} {
		p := &Publication{Domain: "a.example", Policy: policy, Records: []string{"r"}, Nginx: "n", Caddy: "c", Plan: []string{"first", "second"}}
		files, _, err := p.Write(dir)
		if err != nil || len(files) != 5 {
			t.Fatal(files, err)
		}
		for name, want := range map[string]string{"www/.well-known/mta-sts.txt": policy, "records.zone": "r\n", "nginx.conf": "n", "Caddyfile": "c", "PLAN.txt": "1. first\n2. second\n"} {
			path := filepath.Join(dir, name)
			text, err := os.ReadFile(path)
			info, _ := os.Stat(path)
			if err != nil || string(text) != want || info.Mode() != 0o644 {
				t.Errorf("%s: %q, %v", name, text, err)
			}
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*", "*", ".new*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// A configuration that the operator changed stays, and nothing is written next to one of another
// domain or of the web server itself.
func TestWriteKeeps(t *testing.T) {
	t.Parallel()
	const other = "http { include sites/*; }\n"
	changed := "# my certificate\nserver_name mta-sts.a.example;\n"
	for _, check := range []struct {
		file, there string
		refused     bool
	}{
		{nginxFile, changed, false},
		{caddyFile, changed, false},
		{nginxFile, other, true},
		{caddyFile, other, true},
		{nginxFile, nginxServer(domain(t, "a.example.org"), "/srv"), true},
	} {
		path := filepath.Join(t.TempDir(), check.file)
		if err := os.WriteFile(path, []byte(check.there), 0o600); err != nil {
			t.Fatal(err)
		}
		dir := filepath.Dir(path)
		p := &Publication{Domain: "a.example", Policy: "p", Nginx: "server_name mta-sts.a.example;", Caddy: "mta-sts.a.example {"}
		files, kept, err := p.Write(dir)
		if text, _ := os.ReadFile(path); string(text) != check.there {
			t.Errorf("%s was replaced by %q", check.file, text)
		}
		if check.refused {
			if all, _ := os.ReadDir(dir); err == nil || len(files) != 0 || len(all) != 1 {
				t.Errorf("%s, %q: wrote %v, error %v", check.file, check.there, all, err)
			}
		} else if err != nil || len(files) != 4 || !slices.Equal(kept, []string{path}) {
			t.Errorf("%s, %q: wrote %v, kept %v, error %v", check.file, check.there, files, kept, err)
		}
	}
}

// Nothing is written next to a configuration that cannot be read: it may be another domain's.
func TestWriteNextToWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, nginxFile), 0o700); err != nil {
		t.Fatal(err)
	}
	_, _, err := (&Publication{Domain: "a.example", Policy: "p"}).Write(dir)
	if all, _ := os.ReadDir(dir); err == nil || len(all) != 1 {
		t.Errorf("wrote %v, error %v", all, err)
	}
}

func TestSpan(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{time.Second: "1 hour", day: "24 hours", 2 * day: "2 days", 14*day + time.Second: "15 days"} {
		if got := span(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}
