package reports_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"mta-sts-daemon/cmd/internal/reports"
)

// checkOutput checks a summary: its output is printable and its texts are short.
func checkOutput(t *testing.T, s reports.Summary) {
	t.Helper()
	text := printed(t, s)
	for _, p := range s.Problems {
		text += p.Reason
	}
	for _, p := range s.Policies {
		text += p.Domain + p.Type
		for _, r := range p.Results {
			if text += r.ResultType + r.MX; r.Count == 0 {
				t.Errorf("a result without a count: %+v", r)
			}
			if len(r.ResultType) > 300 || len(r.MX) > 300 {
				t.Errorf("a text of %d bytes", max(len(r.ResultType), len(r.MX)))
			}
		}
	}
	if i := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && (r < ' ' || r > '~') }); i >= 0 {
		t.Errorf("not printable: %q", text[i:min(i+20, len(text))])
	}
}

// FuzzFile reads any bytes as a file. Reading them twice changes nothing: the reports are
// duplicates.
func FuzzFile(f *testing.F) {
	for _, name := range []string{"google.json", "microsoft.json", "nopolicy.json"} {
		text, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
		f.Add([]byte(mailWith(base64Header, inBase64(compressed(f, string(text))))))
	}
	f.Add([]byte(mailWith("Content-Type: application/tlsrpt+json", strings.ReplaceAll(reference, "mx1", "\x1b[31m\u202e"))))
	f.Add([]byte("From a@b\n" + mailWith(base64Header, inBase64(compressed(f, reference)))))
	f.Add([]byte(compressed(f, reference)))
	f.Fuzz(func(t *testing.T, data []byte) {
		once := read(string(data))
		checkOutput(t, once)
		if twice := read(string(data), string(data)); inJSON(t, once) != inJSON(t, twice) {
			t.Errorf("once %s\ntwice %s", inJSON(t, once), inJSON(t, twice))
		}
	})
}

// FuzzEnvelope wraps JSON: a report has the same summary in a file, in gzip, in a mail and in a
// mailbox.
func FuzzEnvelope(f *testing.F) {
	f.Add([]byte(reference))
	f.Add([]byte(`[{"date-range": null, "policies": {"policy": {"policy-domain": ["a.example", 1]}, "failure-details": {}}}]`))
	f.Add([]byte(`{"report-id": null, "policies": [{"summary": {"total-failure-session-count": "-1"}}]} {"policies": null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if data = bytes.TrimSpace(data); len(data) == 0 || data[0] != '{' && data[0] != '[' {
			return
		}
		packed := compressed(t, string(data))
		mail := mailWith(base64Header, inBase64(packed))
		want := read(string(data))
		for name, envelope := range map[string]string{
			"gzip": packed, "mail": mail, "mail with JSON": mailWith(base64Header, inBase64(string(data))),
			"mailbox": "From a@b\n" + strings.ReplaceAll(mail, "\r\n", "\n"),
		} {
			got := read(envelope)
			checkOutput(t, got)
			if inJSON(t, want) != inJSON(t, got) || want.Verdict() != got.Verdict() {
				t.Errorf("%s: %s, alone %s", name, inJSON(t, got), inJSON(t, want))
			}
		}
	})
}

// FuzzCounts writes a report as senders do, and finds all of it counted.
func FuzzCounts(f *testing.F) {
	f.Add("Sender", "example.com", "certificate-expired", "mx.example.com", uint32(7), uint32(3))
	f.Add("\x1b\"}", "bücher.example", "x\\", "", uint32(0), uint32(1))
	f.Fuzz(func(t *testing.T, sender, domain, result, mx string, success, failure uint32) {
		text := fmt.Sprintf(`{"organization-name": %s, "policies": [{"policy": {"policy-type": "sts", "policy-domain": %s},
			"summary": {"total-successful-session-count": %d, "total-failure-session-count": %d},
			"failure-details": [{"result-type": %s, "receiving-mx-hostname": %s, "failed-session-count": %d}]}]}`,
			quoted(sender), quoted(domain), success, failure, quoted(result), quoted(mx), failure)
		s := read(text)
		checkOutput(t, s)
		if s.NumProblems != 0 || len(s.Policies) != 1 || s.Policies[0].Success != uint64(success) || s.Policies[0].Failure != uint64(failure) {
			t.Fatalf("%s: %s %v", text, inJSON(t, s), s.Problems)
		}
		var listed uint64
		for _, r := range s.Policies[0].Results {
			listed += r.Count
		}
		if strings.TrimSpace(result) != "" && listed != uint64(failure) {
			t.Errorf("%d failures in results, want %d", listed, failure)
		}
		if failure > 0 && (s.Verdict() == reports.Safe || s.Verdict() == reports.Unknown) {
			t.Errorf("verdict %d with failures", s.Verdict())
		}
	})
}

func quoted(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string has no such error
	}
	return string(text)
}
