package system

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"mta-sts-daemon/e2e/internal/isolated"
)

// cgroups is the mount point of control groups. A machine sees one hierarchy there, as with
// Debian's kernel, whose top is the group in which the tests were started.
const cgroups = "/sys/fs/cgroup"

// newControlGroup makes the control group of a machine.
func newControlGroup(t *testing.T, s suite) string {
	t.Helper()
	// The run's directory has a name that no other run has.
	dir := filepath.Join(cgroups, fmt.Sprintf("%s-%s", filepath.Base(os.Getenv(isolated.EnvWorkDir)), s))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatalf("making a control group: %v", err)
	}
	t.Cleanup(func() {
		if err := removeControlGroup(dir); err != nil {
			t.Errorf("removing a control group: %v", err)
		}
	})
	return dir
}

// removeControlGroup removes an empty group and the groups that the machine has
// made below it.
func removeControlGroup(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if !entry.IsDir() {
			continue // the group's own files are removed with it
		}
		if err := removeControlGroup(filepath.Join(dir, entry.Name())); err != nil {
			return err
		}
	}
	return os.Remove(dir)
}
