package mtasts_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mta-sts-daemon/resolver/mtasts"
)

// Each case is a pair of files: NAME.txt as a policy host would serve it, and
// NAME.want with the reason for the case in a comment, and the expected result:
// the policy's dump or its exact error.
func TestParsePolicy(t *testing.T) {
	t.Parallel()
	texts := glob(t, "testdata/policies/*.txt")
	wants := glob(t, "testdata/policies/*.want")
	if len(texts) != len(wants) {
		t.Errorf("%d policies and %d expectations", len(texts), len(wants))
	}
	for _, name := range texts {
		base := strings.TrimSuffix(name, ".txt")
		t.Run(filepath.Base(base), func(t *testing.T) {
			t.Parallel()
			comment, want, ok := strings.Cut(readFile(t, base+".want"), "\n")
			if why, isComment := strings.CutPrefix(comment, "# "); !ok || !isComment || why == "" {
				t.Errorf("%s.want does not begin with a comment that says why the case exists", base)
			}
			got := outcome(mtasts.ParsePolicy(readFile(t, name)))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// outcome is the canonical dump of a policy or the error.
func outcome(p mtasts.Policy, err error) string {
	if err != nil {
		return "error " + err.Error() + "\n"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "mode %s\nmax_age %d\n", p.Mode, int64(p.MaxAge/time.Second))
	for _, pattern := range p.MX {
		fmt.Fprintf(&b, "mx %s\n", pattern)
	}
	return b.String()
}

func TestParsePolicySyntaxError(t *testing.T) {
	t.Parallel()
	for text, line := range map[string]int{
		"":                                     0,
		"version: STSv1\n\n\nmode: \x1b[31m\n": 4,
		"version: STSv1\r\n\xff\xfe\u2028\x00: 1":                                    2,
		"\ufeffversion: STSv1\nmx: " + strings.Repeat("\x00", mtasts.MaxPolicyLen/2): 2,
		"version: STSv1\nmx: " + strings.Repeat("☃", 5000):                           2,
		strings.Repeat("\n", mtasts.MaxPolicyLen-1) + "x":                            mtasts.MaxPolicyLen,
	} {
		p, err := mtasts.ParsePolicy(text)
		checkSyntaxError(t, err, "policy", line)
		if diff := cmp.Diff(mtasts.Policy{}, p); diff != "" {
			t.Errorf("a policy beside %v: -want +got:\n%s", err, diff)
		}
	}
}

func TestParsePolicyLength(t *testing.T) {
	t.Parallel()
	text := "version: STSv1\nmode: none\nmax_age: 1\n"
	text += strings.Repeat("\n", mtasts.MaxPolicyLen-len(text))
	if _, err := mtasts.ParsePolicy(text); err != nil {
		t.Errorf("%d bytes: %v", len(text), err)
	}
	_, err := mtasts.ParsePolicy(text + "\n")
	checkSyntaxError(t, err, "policy", 0)
	if want := "policy invalid: it is longer than 65536 bytes"; err == nil || err.Error() != want {
		t.Errorf("%d bytes: %v, want %s", len(text)+1, err, want)
	}
}

func TestPolicyText(t *testing.T) {
	t.Parallel()
	text := "\ufeffversion: STSv1 \r\n\r\nmode:\tenforce\t\r\n \t\nmx: MX.example.com.\n" +
		"mx: mx.example.com\nmx: MX.example.com.\nnote: {☃}\nmode: none\nmax_age: 86400"
	p, err := mtasts.ParsePolicy(text)
	if err != nil {
		t.Fatal(err)
	}
	if p.Text != text {
		t.Errorf("Text = %q, want it as published, %q", p.Text, text)
	}
	want := []string{
		"version: STSv1", "mode:\tenforce", "mx: MX.example.com.", "mx: mx.example.com", "mx: MX.example.com.",
		"note: {☃}", "mode: none", "max_age: 86400",
	}
	if diff := cmp.Diff(want, slices.Collect(p.Lines)); diff != "" {
		t.Errorf("Lines: -want +got:\n%s", diff)
	}
	for line := range p.Lines { // a caller may stop early
		if line != want[0] {
			t.Errorf("first of Lines = %q, want %q", line, want[0])
		}
		break
	}
	for line := range (mtasts.Policy{}).Lines {
		t.Errorf("no policy has the line %q", line)
	}
}

func TestModeString(t *testing.T) {
	t.Parallel()
	for mode, want := range map[mtasts.Mode]string{
		mtasts.ModeNone: "none", mtasts.ModeTesting: "testing", mtasts.ModeEnforce: "enforce", 0: "invalid", 4: "invalid",
	} {
		if got := mode.String(); got != want {
			t.Errorf("Mode(%d) = %q, want %q", mode, got, want)
		}
	}
}

func glob(t testing.TB, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	if len(names) == 0 {
		t.Fatalf("no file matches %s", pattern)
	}
	return names
}

func readFile(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
