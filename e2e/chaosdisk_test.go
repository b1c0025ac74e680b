package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// diskFaults are what may become of the state directory. A file that was torn
// is torn_test.go's.
func diskFaults() []fault {
	return []fault{
		{
			name:   "disk full",
			before: smallDisk,
			strike: func(t *testing.T, s *scene) func() {
				fillUp(t, filepath.Join(s.root.dir, stateDir))
				return func() {
					s.awaitSaid(t, saysFailing)
					if err := os.Remove(filepath.Join(s.root.dir, stateDir, filler)); err != nil {
						t.Error(err)
					}
					s.awaitSaid(t, saysWritable)
				}
			},
		},
		{
			name:   "disk read-only since a restart",
			before: smallDisk,
			strike: func(t *testing.T, s *scene) func() {
				s.stop(t)
				s.root.mountState(t, "tmpfs", "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, "")
				s.again(t)
				return func() {
					s.awaitSaid(t, saysFailing)
					s.root.mountState(t, "tmpfs", "tmpfs", unix.MS_REMOUNT, "")
					s.awaitSaid(t, saysWritable)
				}
			},
		},
		{
			name: "state directory deleted",
			strike: func(t *testing.T, s *scene) func() {
				if err := os.RemoveAll(filepath.Join(s.root.dir, stateDir)); err != nil {
					t.Fatal(err)
				}
				return func() { s.awaitSaid(t, saysWritable) }
			},
		},
	}
}

func smallDisk(t *testing.T, s *scene) {
	t.Helper()
	s.root.mountState(t, "tmpfs", "tmpfs", 0, "size=4m")
}
