package packaging

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestReleaseReady runs "make release-ready" in repositories that lack something, and in one
// that lacks nothing.
func TestReleaseReady(t *testing.T) {
	for _, tool := range []string{"make", "git"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("left out: %s is missing", tool)
		}
	}
	const maintainer = "MAINTAINER=Mail Team <mail@example.org>"
	for _, test := range []struct {
		name       string
		maintainer string
		heading    string // of the changelog
		after      string // shell commands
		refusal    string
	}{
		{"ready", maintainer, "## 1.2.3, 2026-12-01", "git tag v1.2.3", ""},
		{"release candidate", maintainer, "## 1.2.3~rc1, 2026-12-01", "git tag v1.2.3-rc1", ""},
		{"no maintainer", "", "## 1.2.3, 2026-12-01", "git tag v1.2.3", "set MAINTAINER"},
		{"changed file", maintainer, "## 1.2.3, 2026-12-01", "git tag v1.2.3; echo >> CHANGELOG.md", "not committed"},
		{"new file", maintainer, "## 1.2.3, 2026-12-01", "git tag v1.2.3; echo > new", "not committed"},
		{"no date", maintainer, "## 1.2.3, not yet released", "git tag v1.2.3", "CHANGELOG.md"},
		{"other version in the changelog", maintainer, "## 1.2.4, 2026-12-01", "git tag v1.2.3", "CHANGELOG.md"},
		{"version not at the top", maintainer, "## 1.2.4, 2026-12-02\n\n## 1.2.3, 2026-12-01", "git tag v1.2.3", "CHANGELOG.md"},
		{"no tag", maintainer, "## 1.2.3, 2026-12-01", "true", "no tag v1.2.3"},
		{"tag of another commit", maintainer, "## 1.2.3, 2026-12-01", "git tag v1.2.3; git commit -q --allow-empty -m more", "no tag v1.2.3"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			version := "1.2.3"
			if strings.Contains(test.heading, "~rc1") {
				version = "1.2.3~rc1"
			}
			for name, text := range map[string]string{
				"Makefile":                      string(read(t, "..", "Makefile")),
				"CHANGELOG.md":                  "# Changelog\n\n" + test.heading + "\n\n- One.\n",
				"cmd/mta-sts-daemon/version.go": "var version = \"" + version + "\"\n",
			} {
				file := filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			shell := exec.Command("sh", "-ec", "git init -q; git add .; git commit -q -m one; "+test.after)
			shell.Dir = dir
			shell.Env = append(os.Environ(), "HOME="+dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=x", "GIT_AUTHOR_EMAIL=x@example.org",
				"GIT_COMMITTER_NAME=x", "GIT_COMMITTER_EMAIL=x@example.org")
			if out, err := shell.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			check := exec.Command("make", "-s", "release-ready")
			if test.maintainer != "" {
				check.Args = append(check.Args, test.maintainer)
			}
			check.Dir = dir
			check.Env = append(os.Environ(), "MAKEFLAGS=", "MAINTAINER=")
			out, err := check.CombinedOutput()
			if (err == nil) != (test.refusal == "") || !strings.Contains(string(out), test.refusal) {
				t.Errorf("got %v, want the refusal %q:\n%s", err, test.refusal, out)
			}
		})
	}
}
