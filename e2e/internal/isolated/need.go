package isolated

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"mta-sts-daemon/e2e/internal/namespace"
)

// buildDir, in the repository, is what outlasts a run.
const buildDir = "build/e2e"

// missing says what this host lacks for the tests, or "". It installs mmdebstrap
// where that is all.
func (p Package) missing() string {
	if os.Geteuid() != 0 {
		return "only root can make namespaces and unpack Debian"
	}
	probe := exec.Command("true")
	probe.SysProcAttr = namespace.Own(p.Namespaces)
	if err := probe.Run(); err != nil {
		return fmt.Sprintf("no namespaces to be had: %v", err)
	}
	if p.Missing != nil {
		if reason := p.Missing(); reason != "" {
			return reason
		}
	}
	if _, err := exec.LookPath("mmdebstrap"); err == nil {
		return ""
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return "there is neither mmdebstrap nor apt-get to install it with"
	}
	fmt.Printf("%s: installing mmdebstrap, which unpacks Debian for the tests\n", p.Name)
	// A machine that has never updated knows of no packages. Where the update
	// fails, the installation may work all the same.
	exec.Command("apt-get", "update").Run()
	install := exec.Command("apt-get", "install", "--yes", "--no-install-recommends",
		"--option=DPkg::Lock::Timeout=120", "mmdebstrap") // others may be doing the same
	install.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if out, err := install.CombinedOutput(); err != nil {
		return fmt.Sprintf("mmdebstrap cannot be installed (%v):\n%s", err, out)
	}
	return ""
}

// Need skips a test where its package's cannot run, and says what is left out.
// Where they can, it looks at every source file, so that "go test" does not take
// a result from its cache that was had with another daemon: of what Build makes it
// knows nothing.
func Need(t *testing.T, what string) {
	t.Helper()
	if reason := os.Getenv(envSkip); reason != "" {
		t.Skipf("left out, %s: %s", what, reason)
	}
	err := filepath.WalkDir(Repository(), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && (entry.Name() == "build" || entry.Name() == ".git") {
			return fs.SkipDir
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// LeftOut returns the reason why the tree of that name is not available, or "".
func LeftOut(tree string) string { return os.Getenv(envLeftOut + tree) }

// Repository is the top directory of the project, which tests run below.
func Repository() string {
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == "/" {
			err = fs.ErrNotExist
		}
		dir = filepath.Dir(dir)
	}
	panic(err) // only where the working directory has been deleted
}
