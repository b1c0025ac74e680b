// Package packaging tests the packages that docs/packaging.md describes.
package packaging

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	// testVersion is valid for Debian and not for semver.
	testVersion = "0.1.0~test1"
	testEpoch   = "1700000000" // 2023-11-14
	debFile     = "mta-sts-daemon_" + testVersion + "_amd64.deb"
	rpmFile     = "mta-sts-daemon_" + testVersion + "_amd64.rpm"
)

// Two trees that differ in path, times and modes give equal packages.
func TestPackages(t *testing.T) {
	if reason := leftOut(); reason != "" {
		note(t, reason)
		t.Skip(reason)
	}
	os.Remove(leftOutFile)
	first, second := filepath.Join(t.TempDir(), "one"), filepath.Join(t.TempDir(), "another")
	copyTree(t, "..", first, 0o644)
	copyTree(t, first, second, 0o600)
	packages, again := build(t, first), build(t, second)
	for _, file := range []string{debFile, rpmFile} {
		if !bytes.Equal(read(t, packages, file), read(t, again, file)) {
			t.Errorf("two builds of %s differ", file)
		}
	}
	deb := openDeb(t, read(t, packages, debFile))
	t.Run("Files", deb.testFiles)
	t.Run("Control", deb.testControl)
	t.Run("Version", deb.testVersion)
	t.Run("Documents", deb.testDocuments)
	t.Run("Links", deb.testLinks)
}

// leftOut says why packages cannot be built here, or "".
func leftOut() string {
	for _, tool := range []string{"make", "gzip"} {
		if _, err := exec.LookPath(tool); err != nil {
			return "the packages: " + tool + " is missing"
		}
	}
	// The Makefile has the module's version.
	out, err := exec.Command("make", "-s", "-C", "..", "nfpm").CombinedOutput()
	if err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return fmt.Sprintf("the packages: nfpm cannot be fetched: %.200q", lines[max(0, len(lines)-2)])
	}
	return ""
}

// leftOutFile is shown by "make test" at its end, because "go test" hides the output of a
// package that passes.
const leftOutFile = "../build/e2e/left-out-packaging"

func note(t *testing.T, what string) {
	err := os.MkdirAll(filepath.Dir(leftOutFile), 0o755)
	if err == nil {
		err = os.WriteFile(leftOutFile, []byte("packaging: LEFT OUT, "+what+"\n"), 0o644)
	}
	if err != nil {
		t.Log(err)
	}
}

// copyTree copies the project without built files. Its files get the mode.
func copyTree(t *testing.T, from, to string, mode os.FileMode) {
	t.Helper()
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := filepath.Join(to, e.Name())
		switch {
		case e.Name() == "build" || e.Name() == ".git":
			continue
		case e.IsDir():
			copyTree(t, filepath.Join(from, e.Name()), name, mode)
		case e.Type().IsRegular():
			if err := os.WriteFile(name, read(t, from, e.Name()), mode); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// build makes the packages of the tree and returns the directory they are in.
func build(t *testing.T, tree string) string {
	t.Helper()
	cmd := exec.Command("make", "-C", tree, "packages", "VERSION="+testVersion, "ARCH=amd64")
	cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH="+testEpoch)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make packages: %v\n%s", err, out)
	}
	return filepath.Join(tree, "build", "packages")
}

func read(t *testing.T, dir, file string) []byte {
	t.Helper()
	contents, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		t.Fatal(err)
	}
	return contents
}

func differ(t *testing.T, what, want, got string) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}
