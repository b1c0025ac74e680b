package system

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"mta-sts-daemon/e2e/internal/isolated"
)

// cgroups is where control groups are mounted. Whatever the host has there, a
// machine finds the one hierarchy that Debian's kernel gives it; its top is the
// group that the tests have begun in.
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
			continue // the group's own files, which go with it
		}
		if err := removeControlGroup(filepath.Join(dir, entry.Name())); err != nil {
			return err
		}
	}
	return os.Remove(dir)
}
