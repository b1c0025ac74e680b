package reports_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mta-sts-daemon/cmd/internal/layout"
	"mta-sts-daemon/cmd/internal/reports"
)

// reference is a report as RFC 8460 has it.
const reference = `{"organization-name": "Sender Inc.",
"date-range": {"start-datetime": "2026-11-26T00:00:00Z", "end-datetime": "2026-11-26T23:59:59Z"},
"contact-info": "postmaster@sender.example", "report-id": "1_example.com",
"policies": [{"policy": {"policy-type": "sts", "policy-string": ["version: STSv1", "mode: testing", "mx: mx1.example.com", "max_age: 86400"],
"policy-domain": "example.com", "mx-host": ["mx1.example.com"]},
"summary": {"total-successful-session-count": 90, "total-failure-session-count": 3},
"failure-details": [{"result-type": "certificate-expired", "receiving-mx-hostname": "mx1.example.com", "failed-session-count": 3}]}]}`

// referenceSummary is its summary.
const referenceSummary = `{"policies":[{"domain":"example.com","type":"sts","success":90,"failure":3,"results":[{"result_type":"certificate-expired","mx":"mx1.example.com","count":3}]}]}`

// read returns the summary of files with these contents.
func read(contents ...string) reports.Summary {
	c := reports.NewCollector(time.Time{})
	for i, text := range contents {
		c.ReadStream(fmt.Sprint(i), strings.NewReader(text))
	}
	return c.Summary()
}

func write(t testing.TB, name, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// Other files of a directory are ignored, also documents, which are zip archives.
func TestOtherFilesOfADirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "report.json"), reference)
	write(t, filepath.Join(dir, "notes.odt"), "PK\x03\x04...")
	c := reports.NewCollector(time.Time{})
	c.Read(dir)
	if s := c.Summary(); s.NumProblems != 0 || inJSON(t, s) != referenceSummary {
		t.Errorf("%v, %s", s.Problems, inJSON(t, s))
	}
}

func inJSON(t testing.TB, s reports.Summary) string {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func printed(t testing.TB, s reports.Summary) string {
	t.Helper()
	var out bytes.Buffer
	if err := s.Print(layout.OnLines(&out)); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// check compares a summary in JSON, which has no problem.
func check(t *testing.T, s reports.Summary, want string) {
	t.Helper()
	if diff := cmp.Diff(want, inJSON(t, s)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	for _, p := range s.Problems {
		t.Errorf("problem: %v", p)
	}
}

// Reports in the manner of several senders, in one summary.
func TestSenders(t *testing.T) {
	t.Parallel()
	c := reports.NewCollector(time.Time{})
	for _, name := range []string{"google.json", "microsoft.json", "nopolicy.json"} {
		c.Read(filepath.Join("testdata", name))
	}
	s := c.Summary()
	check(t, s, `{"policies":[`+
		`{"domain":"example.com","type":"sts","success":1793,"failure":10,"results":[`+
		`{"result_type":"certificate-expired","mx":"mx2.example.com","count":5},`+
		`{"result_type":"sts-policy-fetch-error","mx":"","count":3},`+
		`{"result_type":"starttls-not-supported","mx":"mx2.example.com","count":2}]},`+
		`{"domain":"example.com","type":"no-policy-found","success":24,"failure":0,"results":[]},`+
		`{"domain":"mx1.example.com","type":"tlsa","success":12,"failure":0,"results":[]}]}`)
	want, err := os.ReadFile("testdata/senders.txt")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), printed(t, s)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// A report that deviates from the RFC has the same summary.
func TestDeviations(t *testing.T) {
	t.Parallel()
	for name, change := range map[string][]string{
		"none":                         {},
		"a policy without a list":      {`"policies": [{`, `"policies": {`, `"failed-session-count": 3}]}]}`, `"failed-session-count": 3}]}}`},
		"details without a list":       {`"failure-details": [{`, `"failure-details": {`, `"failed-session-count": 3}]`, `"failed-session-count": 3}`},
		"bare string for strings":      {`["version: STSv1", "mode: testing", "mx: mx1.example.com", "max_age: 86400"]`, `"version: STSv1\r\nmode: testing\r\nmx: mx1.example.com\r\nmax_age: 86400\r\n"`},
		"bare string for mx-host":      {`"mx-host": ["mx1.example.com"]`, `"mx-host": "mx1.example.com"`},
		"list for a string":            {`"receiving-mx-hostname": "mx1.example.com"`, `"receiving-mx-hostname": ["mx1.example.com"]`},
		"numbers as strings":           {`count": 90`, `count": "90"`, `count": 3`, `count": " 3 "`},
		"numbers with a point":         {`count": 90`, `count": 90.0`, `count": 3`, `count": 3e0`},
		"no contact":                   {`"contact-info": "postmaster@sender.example", `, ``},
		"null in place of text":        {`"postmaster@sender.example"`, `null`, `["mx1.example.com"]`, `null`},
		"other keys":                   {`"report-id"`, `"version": {"x": [[[1]]]}, "report-id"`},
		"upper case and underscores":   {`certificate-expired`, `CERTIFICATE_EXPIRED`, `"sts"`, `"STS"`},
		"domains in upper case":        {`"policy-domain": "example.com"`, `"policy-domain": "EXAMPLE.com."`, `hostname": "mx1.example.com"`, `hostname": "MX1.Example.com."`},
		"HELO name alone":              {`receiving-mx-hostname`, `receiving-mx-helo`},
		"a time without zone":          {`00:00Z`, `00:00`, `59:59Z`, `59:59`},
		"days":                         {`T00:00:00Z`, ``, `T23:59:59Z`, ``},
		"seconds since 1970":           {`"2026-11-26T00:00:00Z"`, `1795651200`, `"2026-11-26T23:59:59Z"`, `"1795737599"`},
		"midnight as the end":          {`2026-11-26T23:59:59Z`, `2026-11-27T00:00:00Z`},
		"details without a total":      {`, "total-failure-session-count": 3`, ``},
		"repeated, with the sum split": {`{"result-type": "certificate-expired", "receiving-mx-hostname": "mx1.example.com", "failed-session-count": 3}`, `{"result-type": "certificate-expired", "receiving-mx-hostname": "mx1.example.com", "failed-session-count": 2}, {"result-type": "certificate-expired", "receiving-mx-hostname": "mx1.example.com"}`},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.NewReplacer(change...).Replace(reference)
			if len(change) > 0 && text == reference {
				t.Fatal("nothing changed")
			}
			s := read(text)
			check(t, s, referenceSummary)
			if diff := cmp.Diff(printed(t, read(reference)), printed(t, s)); diff != "" {
				t.Errorf("-reference +got\n%s", diff)
			}
		})
	}
}

func compressed(t testing.TB, text string) string {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// lines breaks text into lines as mail has them.
func lines(text string) string {
	var out strings.Builder
	for len(text) > 76 {
		out.WriteString(text[:76] + "\r\n")
		text = text[76:]
	}
	return out.String() + text + "\r\n"
}

func inBase64(data string) string { return lines(base64.StdEncoding.EncodeToString([]byte(data))) }

// mailWith is a report's mail as RFC 8460 section 5.3 has it, with such an attachment.
func mailWith(header, body string) string {
	return strings.ReplaceAll(`Return-Path: <tls@sender.example>
From: tls@sender.example
To: tls-reports@example.com
Subject: Report Domain: example.com Submitter: sender.example Report-ID: <1@sender.example>
TLS-Report-Domain: example.com
TLS-Report-Submitter: sender.example
MIME-Version: 1.0
Content-Type: multipart/report; report-type="tlsrpt"; boundary="b1"

This is a MIME message.
--b1
Content-Type: text/plain; charset="us-ascii"

{ This is an aggregate TLS report }

--b1
`+header+`
Content-Disposition: attachment; filename="sender.example!example.com!1795651200!1795737599!1.json.gz"

`, "\n", "\r\n") + body + "\r\n--b1--\r\n"
}

const base64Header = "Content-Type: application/tlsrpt+gzip\nContent-Transfer-Encoding: base64"

// A report has the same summary in every envelope.
func TestEnvelopes(t *testing.T) {
	t.Parallel()
	packed := compressed(t, reference)
	usual := mailWith(base64Header, inBase64(packed))
	unmarked := strings.TrimSuffix(base64Header, "base64") + "7bit"
	forwarded := "From: a@b.example\nContent-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: message/rfc822\n\n" + usual + "\n--x--\n"
	unixLines := strings.ReplaceAll(usual, "\r\n", "\n")
	for name, text := range map[string]string{
		"JSON":                         reference,
		"JSON with a byte order mark":  "\ufeff" + reference,
		"JSON in a list":               "[" + reference + "]",
		"twice":                        reference + "\n" + reference,
		"gzip":                         packed,
		"gzip and bytes after it":      packed + "more",
		"gzip in pieces":               compressed(t, reference[:100]) + compressed(t, reference[100:]),
		"mail":                         usual,
		"mail in gzip":                 compressed(t, usual),
		"line ends of Unix":            unixLines,
		"cut after the attachment":     usual[:len(usual)-len("\r\n--b1--\r\n")],
		"after blank lines of JSON":    "\n \n" + reference,
		"octet-stream":                 mailWith(strings.ReplaceAll(base64Header, "tlsrpt+gzip", "octet-stream"), inBase64(packed)),
		"no media type":                mailWith("Content-Transfer-Encoding: base64", inBase64(packed)),
		"malformed media type":         mailWith("Content-Type: application/tlsrpt+gzip; x; y=\"\nContent-Transfer-Encoding: BASE64 ", inBase64(packed)),
		"JSON declared as gzip":        mailWith(base64Header, inBase64(reference)),
		"gzip declared as JSON":        mailWith(strings.ReplaceAll(base64Header, "+gzip", "+json"), inBase64(packed)),
		"JSON as text":                 mailWith("Content-Type: text/plain", reference),
		"JSON as quoted-printable":     mailWith("Content-Type: application/tlsrpt+json\nContent-Transfer-Encoding: quoted-printable", strings.ReplaceAll(strings.ReplaceAll(reference, "=", "=3D"), "mx1", "=6Dx1")),
		"base64 not declared":          mailWith(unmarked, inBase64(packed)),
		"binary":                       mailWith("Content-Type: application/gzip\nContent-Transfer-Encoding: binary", packed),
		"base64 on one line":           mailWith(base64Header, base64.StdEncoding.EncodeToString([]byte(packed))),
		"base64 without padding":       mailWith(base64Header, base64.RawStdEncoding.EncodeToString([]byte(packed))),
		"base64 for URLs":              mailWith(base64Header, base64.URLEncoding.EncodeToString([]byte(packed))),
		"base64 in pieces":             mailWith(base64Header, inBase64(packed[:100])+inBase64(packed[100:])),
		"base64 with blanks":           mailWith(base64Header, strings.ReplaceAll(inBase64(packed), "\r\n", " \t\r\n ")),
		"the attachment is the mail":   "From: a@b.example\r\n" + strings.ReplaceAll(base64Header, "\n", "\r\n") + "\r\n\r\n" + inBase64(packed),
		"forwarded":                    forwarded,
		"mailbox":                      "From a@b Fri Nov 27 00:00:00 2026\n" + unixLines + "\nFrom MAILER-DAEMON Fri Nov 27 00:00:01 2026\nFrom: x@y.example\nSubject: hello\n\nFrom here on, text.\n\n" + "From a@b Fri Nov 27 00:00:02 2026\n" + unixLines,
		"mailbox with a line of text":  "From a@b Fri Nov 27 00:00:00 2026\nSubject: x\n\ntext\nFrom here no new mail\n\nFrom a@b Fri Nov 27 00:00:00 2026\n" + unixLines,
		"mailbox in gzip":              compressed(t, "From a@b Fri Nov 27 00:00:00 2026\n"+unixLines),
		"parts within each other":      "From: a@b.example\nContent-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: multipart/mixed; boundary=y\n\n--y\nContent-Type: multipart/report; boundary=b1\n\n" + usual[strings.Index(usual, "--b1"):] + "\n--y--\n--x--\n",
		"another report type in front": reference + "\n{\"other\": 1}",
	} {
		t.Run(name, func(t *testing.T) { check(t, read(text), referenceSummary) })
	}

	t.Run("Maildir", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "Maildir")
		write(t, dir+"/cur/1.host:2,S", unixLines)
		write(t, dir+"/new/2.host", "Subject: another mail\n\ntext\n")
		write(t, dir+"/tmp/3.host", unixLines[:len(unixLines)/2])
		write(t, dir+"/.Reports/cur/4.host", unixLines)
		write(t, dir+"/dovecot.index", "\x07\x03\x00binary")
		link := filepath.Join(t.TempDir(), "link")
		if err := os.Symlink(dir, link); err != nil {
			t.Fatal(err)
		}
		c := reports.NewCollector(time.Time{})
		c.Read(link)
		check(t, c.Summary(), referenceSummary)
	})
}

// Unreadable files are named, and readable ones are counted.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	packed := compressed(t, reference)
	nested := ""
	for range 20 {
		nested += "Content-Type: message/rfc822\n\n"
	}
	parts := strings.Repeat("--x\n\n"+"text\n", 2000)
	for name, tt := range map[string]struct{ text, problem string }{
		"empty":              {"", "no TLS report is in it"},
		"text":               {"hello\n", "no TLS report is in it"},
		"other JSON":         {`{"a": 1} [2, 3]`, "no TLS report is in it"},
		"output of --json":   {referenceSummary, "no TLS report is in it"},
		"a number":           {`[1]`, "no TLS report is in it"},
		"JSON cut off":       {reference[:200], "it is truncated"},
		"gzip cut off":       {packed[:len(packed)/2], "it is truncated"},
		"gzip header alone":  {packed[:5], "it is truncated"},
		"a policy is a text": {strings.Replace(reference, `"policies": [{`, `"policies": ["x", {`, 1), "cannot unmarshal string"},
		"mail with gzip cut": {mailWith(base64Header, inBase64(packed[:len(packed)/2])), "it is truncated"},
		"mail with zip":      {mailWith("Content-Type: application/zip\nContent-Transfer-Encoding: base64", inBase64("PK\x03\x04")), "the report in this mail cannot be found"},
		"mail cut off":       {mailWith("", "")[:300], "the report in this mail cannot be found"},
		"nested mails":       {"Subject: x\n" + nested, "in each other"},
		"many parts":         {"Content-Type: multipart/mixed; boundary=x\n\n" + parts, "parts of a mail"},
		"deep JSON":          {`{"report-id": "1", "policies": ` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + "}", "more than 16 levels"},
		"much JSON":          {`{"report-id": "1", "policies": [` + strings.Repeat("{},", 500_000) + "{}]}", "more than 400000 values"},
		"large JSON":         {`{"report-id": "1", "x": "` + strings.Repeat("x", 17<<20) + `"}`, "more than 16 MiB of JSON"},
		"large mail":         {"Subject: x\n\n" + strings.Repeat("x", 33<<20), "more than 32 MiB"},
		"bomb":               {compressed(t, strings.Repeat(" ", 40<<20)+reference), "more than 32 MiB"},
		"bomb in mail":       {mailWith(base64Header, inBase64(compressed(t, strings.Repeat(" ", 40<<20)+reference))), "more than 16 MiB come out of gzip"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := read(tt.text)
			if s.NumProblems != 1 || !strings.Contains(s.Problems[0].Reason, tt.problem) {
				t.Errorf("problems %v, want one with %q", s.Problems, tt.problem)
			}
			if len(s.Policies) != 0 || s.Verdict() != reports.Unknown {
				t.Errorf("verdict %v, %s", s.Verdict(), inJSON(t, s))
			}
			s = read(tt.text, strings.Replace(reference, `count": 3`, `count": 0`, 2))
			if len(s.Policies) != 1 || s.Policies[0].Success != 90 || s.Verdict() != reports.Advice {
				t.Errorf("next to a good report: verdict %v, %s", s.Verdict(), inJSON(t, s))
			}
		})
	}
	c := reports.NewCollector(time.Time{})
	c.Read(filepath.Join(t.TempDir(), "missing"))
	if s := c.Summary(); s.NumProblems != 1 || s.Problems[0].Reason != "no such file or directory" {
		t.Errorf("a file that is missing: %v", s.Problems)
	}
	// A report before a fault counts.
	if s := read(reference + reference[:50]); inJSON(t, s) != referenceSummary || s.NumProblems != 1 {
		t.Errorf("cut off after a report: %s %v", inJSON(t, s), s.Problems)
	}
}

// A report counts once: by its organisation and report-id, not by its layout.
func TestDuplicates(t *testing.T) {
	t.Parallel()
	indented := strings.ReplaceAll(reference, `": `, `" :  `)
	check(t, read(reference, indented, compressed(t, reference)), referenceSummary)
	changed := strings.Replace(reference, "90", "91", 1)
	s := read(reference, changed)
	check(t, s, referenceSummary)
	if !strings.Contains(printed(t, s), "1 of them had other content") {
		t.Errorf("a duplicate with other content is not mentioned:\n%s", printed(t, s))
	}
	other := strings.Replace(reference, "Sender Inc.", "Other Inc.", 1)
	if s := read(reference, other); s.Policies[0].Success != 180 {
		t.Errorf("the same report-id of two senders: %s", inJSON(t, s))
	}
	// Without a report-id the content decides.
	anonymous := strings.Replace(reference, `"report-id": "1_example.com",`, "", 1)
	if s := read(anonymous, anonymous, strings.Replace(anonymous, "90", "10", 1)); s.Policies[0].Success != 100 {
		t.Errorf("without report-id: %s", inJSON(t, s))
	}
}

func TestSince(t *testing.T) {
	t.Parallel()
	for since, want := range map[string]int{"2026-11-26T12:00:00Z": 1, "2026-11-27T00:00:00Z": 0} {
		start, err := time.Parse(time.RFC3339, since)
		if err != nil {
			t.Fatal(err)
		}
		c := reports.NewCollector(start)
		c.ReadStream("report", strings.NewReader(reference))
		if s := c.Summary(); len(s.Policies) != want || s.NumProblems != 0 {
			t.Errorf("since %s: %s %v", since, inJSON(t, s), s.Problems)
		}
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	policy := func(kind, mode string, success, failure int, details string) string {
		return fmt.Sprintf(`{"organization-name": "S", "policies": [{"policy": {"policy-type": %q, "policy-string": ["mode: %s"], "policy-domain": "a.example"},
			"summary": {"total-successful-session-count": %d, "total-failure-session-count": %d}, "failure-details": [%s]}]}`, kind, mode, success, failure, details)
	}
	failed := func(result string) string {
		return fmt.Sprintf(`{"result-type": %q, "failed-session-count": 1}`, result)
	}
	good := policy("sts", "testing", 5, 0, "")
	for name, tt := range map[string]struct {
		reports []string
		want    reports.Verdict
		text    string
	}{
		"good":                      {[]string{good}, reports.Safe, "a.example: safe to enforce: 5 sessions under the policy, none failed"},
		"fails in testing":          {[]string{policy("sts", "testing", 5, 1, failed("certificate-expired"))}, reports.Fault, "not safe to enforce: 1 session failed"},
		"fails in enforce":          {[]string{policy("sts", "enforce", 5, 1, failed("certificate-expired"))}, reports.Fault, "mail is deferred: 1 session failed"},
		"fails without details":     {[]string{policy("sts", "testing", 5, 2, "")}, reports.Fault, "not safe to enforce: 2 sessions failed"},
		"fails with details alone":  {[]string{policy("sts", "testing", 5, 0, failed("validation-failure"))}, reports.Fault, "not safe to enforce: 1 session failed"},
		"a new result type":         {[]string{policy("sts", "testing", 5, 1, failed("quantum-failure"))}, reports.Fault, "not safe"},
		"fetch error":               {[]string{good, policy("sts", "", 0, 1, failed("sts-policy-fetch-error"))}, reports.Advice, "enforcing defers no mail, but"},
		"fetch errors alone":        {[]string{policy("sts", "", 0, 1, failed("sts-webpki-invalid"))}, reports.Fault, "no sender could fetch or use the policy"},
		"no policy, good":           {[]string{policy("no-policy-found", "", 5, 0, "")}, reports.Unknown, "not known: no report is about a session under an MTA-STS policy"},
		"no policy, no STARTTLS":    {[]string{good, policy("no-policy-found", "", 5, 1, failed("starttls-not-supported"))}, reports.Fault, "not safe to enforce: 1 session failed"},
		"DANE fails":                {[]string{good, policy("tlsa", "", 5, 1, failed("certificate-expired"))}, reports.Fault, "because of DANE: 1 session failed"},
		"DANE fails, in its words":  {[]string{good, policy("no-policy-found", "", 5, 1, failed("tlsa-invalid"))}, reports.Fault, "because of DANE: 1 session failed"},
		"DANE alone":                {[]string{policy("tlsa", "", 5, 0, "")}, reports.Unknown, "a.example: DANE alone: 5 sessions, none failed"},
		"DANE of the MX host":       {[]string{good, strings.ReplaceAll(policy("tlsa", "", 5, 0, ""), "a.example", "mx.a.example")}, reports.Safe, "mx.a.example: DANE alone"},
		"no policies":               {[]string{`{"organization-name": "S", "report-id": "1"}`}, reports.Unknown, "No TLS report was read"},
		"good and one not readable": {[]string{good, "{"}, reports.Advice, "safe to enforce"},
	} {
		s := read(tt.reports...)
		if got := s.Verdict(); got != tt.want || !strings.Contains(printed(t, s), tt.text) {
			t.Errorf("%s: verdict %d, want %d with %q\n%s", name, got, tt.want, tt.text, printed(t, s))
		}
	}
}

// Memory is bounded: of too many domains, senders and hosts some are not kept, and the
// verdict says so.
func TestManyRows(t *testing.T) {
	t.Parallel()
	c := reports.NewCollector(time.Time{})
	for i := range 2 {
		var policies []string
		for j := range 15_000 {
			policies = append(policies, fmt.Sprintf(`{"policy": {"policy-type": "sts", "policy-domain": "d%d-%d.example"}, "summary": {"total-successful-session-count": 1}}`, i, j))
		}
		c.ReadStream("report", strings.NewReader(fmt.Sprintf(`{"report-id": "%d", "policies": [%s]}`, i, strings.Join(policies, ","))))
	}
	s := c.Summary()
	if n := len(s.Policies); n < 20_000 || n > 50_000 {
		t.Errorf("%d policies are kept", n)
	}
	text := printed(t, s)
	if s.Verdict() == reports.Safe || !strings.Contains(text, "some are missing") || strings.Count(text, "\n") > 1000 {
		t.Errorf("verdict %v, %d lines of text", s.Verdict(), strings.Count(text, "\n"))
	}
}
