package system

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mta-sts-daemon/e2e/internal/isolated"
)

// The versions that are built: the one that is installed, and its upgrade.
const (
	firstVersion = "1.0.0"
	nextVersion  = "1.0.1"
)

// buildPackages builds the packages of the program under test, as they are
// released, below workDir.
func buildPackages(workDir string) error {
	for _, version := range []string{firstVersion, nextVersion} {
		cmd := exec.Command("make", "packages", "VERSION="+version, "PACKAGES="+filepath.Join(workDir, version))
		cmd.Dir = isolated.Repository()
		// Variables of an outer make do not apply to this one.
		cmd.Env = slices.DeleteFunc(os.Environ(), func(variable string) bool { return strings.HasPrefix(variable, "MAKE") })
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("make packages: %w\n%s", err, out)
		}
	}
	return nil
}

// packageOf is the Debian package of a version, as this process sees it.
func packageOf(t *testing.T, version string) string {
	t.Helper()
	file, err := onlyMatch(filepath.Join(os.Getenv(isolated.EnvWorkDir), version, "*.deb"))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// aptInstall installs one version with apt, which can fetch nothing.
func (v *server) aptInstall(t *testing.T, version string) {
	t.Helper()
	deb, err := os.ReadFile(packageOf(t, version))
	if err != nil {
		t.Fatal(err)
	}
	const name = "/root/package.deb" // /tmp is the machine's own
	v.root.write(t, name, string(deb))
	v.run(t, "apt-get", "install", "--yes", name)
}

// install takes the server from no package to one in use, and looks whether
// that starts all there is to start.
func (v *server) install(t *testing.T) {
	t.Helper()
	v.aptInstall(t, firstVersion)
	for _, unit := range []string{serviceUnit, socketUnit} {
		v.run(t, "systemctl", "is-enabled", unit)
		v.run(t, "systemctl", "is-active", unit)
	}
	v.root.write(t, configFile, config(""))
	v.run(t, "systemctl", "restart", serviceUnit)

	v.publish(known)
	v.checkLookup(t, string(known), known.secure())
	v.run(t, "systemctl", "restart", serviceUnit) // a policy as fresh as that may not be on disk yet
}

// known is a domain whose policy the daemon has had from the beginning.
const known domain = "known.test"

// checkKnown checks that the policy of known is still there, and is the one that
// was fetched at the beginning.
func (v *server) checkKnown(t *testing.T) {
	t.Helper()
	v.checkLookup(t, string(known), known.secure())
	if got := v.hosts.Requests(string(known)); got != 1 {
		t.Errorf("the policy of %s was fetched %d times: it was not kept", known, got)
	}
}

// config is a configuration with one setting more.
func config(more string) string { return "fetch: {allow_networks: [127.0.0.0/8]}\n" + more + "\n" }

// eventually asks again and again whether what must come has come.
func eventually(t *testing.T, what string, come func() bool) {
	t.Helper()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for tooLong := time.After(patience); !come(); {
		select {
		case <-again.C:
		case <-tooLong:
			t.Fatalf("waited %v in vain for %s", patience, what)
		}
	}
}
