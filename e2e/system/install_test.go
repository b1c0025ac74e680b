package system

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mta-sts-daemon/e2e/internal/isolated"
)

// The versions that are built: the first one that is installed, and its upgrade.
const (
	firstVersion = "1.0.0"
	nextVersion  = "1.0.1"
)

// buildPackages builds the packages below workDir, as they are released.
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

// packageOf returns the path of a version's Debian package.
func packageOf(t *testing.T, version string) string {
	t.Helper()
	file, err := onlyMatch(filepath.Join(os.Getenv(isolated.EnvWorkDir), version, "*.deb"))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// aptInstall installs one version with apt, which has no network, and returns its output.
func (v *server) aptInstall(t *testing.T, version string) string {
	t.Helper()
	deb, err := os.ReadFile(packageOf(t, version))
	if err != nil {
		t.Fatal(err)
	}
	v.root.write(t, debFile, string(deb))
	return v.run(t, "apt-get", "install", "--yes", debFile)
}

// debFile is the package on the machine, whose /tmp is a separate file system.
const debFile = "/root/package.deb"

// runLintian checks that lintian finds no error and no warning in the package. Only the current
// Debian's lintian counts: earlier ones have tags that do not exist any more.
func runLintian(t *testing.T, v *server) {
	if v.suite == trixie {
		v.run(t, "lintian", "--fail-on=error,warning", debFile)
	}
}

// Debian's package of postfix-mta-sts-resolver, whose service listens at the same address.
const (
	replacedPackage = "postfix-mta-sts-resolver"
	replacedUnit    = replacedPackage + ".service"
)

// install moves the server from postfix-mta-sts-resolver to the package, with the main.cf
// that the former has. The installation starts everything that has to run.
func (v *server) install(t *testing.T) {
	t.Helper()
	v.run(t, "systemctl", "is-active", replacedUnit)
	v.checkLookup(t, "no-policy.test", "NOTFOUND ")
	v.aptInstall(t, firstVersion)
	v.runFailing(t, "systemctl", "is-active", replacedUnit)
	v.run(t, "apt-get", "purge", "--yes", replacedPackage) // must not affect the new package
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

// checkKnown checks that the policy of known is still the one that was fetched at the
// beginning.
func (v *server) checkKnown(t *testing.T) {
	t.Helper()
	v.checkLookup(t, string(known), known.secure())
	if got := v.hosts.Requests(string(known)); got != 1 {
		t.Errorf("the policy of %s was fetched %d times: it was not kept", known, got)
	}
}

// config is a configuration with one setting more.
func config(more string) string { return "fetch: {allow_networks: [127.0.0.0/8]}\n" + more + "\n" }
