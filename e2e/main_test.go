package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"mta-sts-daemon/e2e/internal/isolated"
	"mta-sts-daemon/e2e/internal/namespace"
)

// envWorkDir names the directory that buildDaemon was given.
const envWorkDir = isolated.EnvWorkDir

// tests is this package. Ports 25, 53 and 443 of all of 127/8 are free for it.
func tests() isolated.Package {
	p := isolated.Package{
		Name:    "e2e",
		Build:   buildDaemon,
		Furnish: func(string) error { return namespace.LoopbackUp() },
		Apart:   "^(TestDoctor|TestZoo|TestDelivery)$",
	}
	for _, s := range suites() {
		p.Trees = append(p.Trees, s.tree())
	}
	for _, m := range otherMTAs() {
		p.Trees = append(p.Trees, m.tree())
	}
	p.Trees = append(p.Trees, stsResolver())
	return p
}

func TestMain(m *testing.M) { os.Exit(tests().Main(m)) }

func noteLeftOut(what string) { tests().NoteLeftOut(what) }

// needWorld skips a test if the whole world cannot be built.
func needWorld(t *testing.T) {
	t.Helper()
	isolated.Need(t, "real Postfix behind a real resolver asking the daemon")
}

// buildDaemon builds the program under test into dir, as it is released: it
// needs nothing of the root in which it runs.
func buildDaemon(dir string) error {
	build := exec.Command("go", "build", "-o", daemonBinary(dir), "../cmd/mta-sts-daemon")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

func daemonBinary(workDir string) string { return filepath.Join(workDir, "mta-sts-daemon") }
