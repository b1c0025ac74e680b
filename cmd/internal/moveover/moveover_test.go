package moveover

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mta-sts-daemon/config"
)

func read(tb testing.TB, file string) []byte {
	tb.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

// Each .yaml is a configuration of theirs, and .ours next to it the translation.
func TestTranslate(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			got, err := Translate(read(t, file))
			if err != nil {
				t.Fatal(err)
			}
			ours := read(t, strings.TrimSuffix(file, ".yaml")+".ours")
			if d := cmp.Diff(string(ours), got.Text("FILE")); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestBadFile(t *testing.T) {
	t.Parallel()
	const neither = "this is a configuration neither of postfix-tlspol nor of postfix-mta-sts-resolver"
	for text, want := range map[string]string{
		"":                      neither,
		"mode_: x\n":            neither,
		"just text":             neither,
		"[a, b]":                neither,
		"server: [\n":           "not YAML: yaml: line 1: did not find expected node content",
		"server: &a {x: *a}":    "line 1: YAML aliases are not supported",
		"dns: {servers: [a]}\n": "",
	} {
		_, err := Translate([]byte(text))
		if want == "" && err != nil || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

// Whatever the file holds, the result is a valid configuration and each note is one line.
func FuzzTranslate(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.yaml")
	for _, file := range files {
		f.Add(read(f, file))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := Translate(text)
		if err != nil {
			return
		}
		ours := got.Text("FILE")
		c, err := config.Parse("f", []byte(ours), nil)
		if err != nil {
			t.Fatalf("%v in\n%s", err, ours)
		}
		if d := cmp.Diff(got.Config.Text(), c.Text()); d != "" {
			t.Errorf("(-translated +read):\n%s", d)
		}
		if notes := strings.Count(ours, "\n# "); notes < len(got.Notes) {
			t.Errorf("%d notes in\n%s", len(got.Notes), ours)
		}
	})
}
