package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// What the outer process tells the inner one, by environment: see TestMain.
const (
	envWorkDir = "MTA_STS_E2E_WORKDIR"   // set inside the namespaces only
	envSkip    = "MTA_STS_E2E_SKIP"      // why the end-to-end tests cannot run here
	envLeftOut = "MTA_STS_E2E_LEFT_OUT_" // and a suite: why that one cannot be had
)

// TestMain prepares what needs the host, its network, Go tool and package
// archive, and then runs this binary once more inside namespaces of its own,
// where the tests proper run. Where that cannot be, the tests run here, and
// those that need more than Go skip themselves.
func TestMain(m *testing.M) {
	if os.Getenv(envWorkDir) != "" {
		os.Exit(inside(m))
	}
	os.Remove(leftOutFile)
	if reason := missing(); reason != "" {
		noteLeftOut("all of e2e: " + reason)
		os.Setenv(envSkip, reason)
		os.Exit(m.Run())
	}
	code, err := outside()
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	os.Exit(code)
}

// leftOutFile is what "make test" shows at its end, because "go test" shows
// nothing of a package that passes.
const leftOutFile = "../build/e2e/left-out"

func noteLeftOut(what string) {
	line := "e2e: LEFT OUT, " + what + "\n"
	fmt.Print(line)
	if err := os.MkdirAll(filepath.Dir(leftOutFile), 0o755); err != nil {
		return
	}
	if f, err := os.OpenFile(leftOutFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644); err == nil {
		f.WriteString(line)
		f.Close()
	}
}

// outside builds and unpacks, then runs the tests in their namespaces.
func outside() (code int, err error) {
	workDir, err := os.MkdirTemp("", "mta-sts-e2e-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(workDir)
	if err := buildDaemon(workDir); err != nil {
		return 0, err
	}
	for _, s := range suites() {
		err := s.unpack()
		if err != nil && !s.optional() {
			return 0, err
		}
		if err != nil {
			noteLeftOut(fmt.Sprintf("all tests with the Postfix of Debian %s: %v", s, err))
			os.Setenv(envLeftOut+string(s), "it cannot be unpacked")
		}
	}
	return enterNamespaces(workDir)
}

// missing says what this machine lacks for the end-to-end tests, or "". It
// installs mmdebstrap where that is all.
func missing() string {
	if os.Geteuid() != 0 {
		return "only root can make namespaces and unpack Debian"
	}
	probe := exec.Command("true")
	probe.SysProcAttr = ownNamespaces()
	if err := probe.Run(); err != nil {
		return fmt.Sprintf("no namespaces to be had: %v", err)
	}
	if _, err := exec.LookPath("mmdebstrap"); err == nil {
		return ""
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return "there is neither mmdebstrap nor apt-get to install it with"
	}
	fmt.Println("e2e: installing mmdebstrap, which unpacks Debian's Postfix and unbound for the tests")
	// A machine that has never updated knows of no packages. Where the update
	// fails, the installation may work all the same.
	exec.Command("apt-get", "update").Run()
	install := exec.Command("apt-get", "install", "--option=DPkg::Lock::Timeout=120", "--yes", "--no-install-recommends", "mmdebstrap")
	install.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if out, err := install.CombinedOutput(); err != nil {
		return fmt.Sprintf("mmdebstrap cannot be installed (%v):\n%s", err, out)
	}
	return ""
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
