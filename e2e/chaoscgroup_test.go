package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// groupMemory is the memory limit of the control group, in bytes, with files and
// sockets.
const groupMemory = 64 << 20

// limitMemory moves the program into a control group with a limit of so many
// bytes. The returned function moves it out again.
func limitMemory(t *testing.T, s *scene, octets int64) (lift func()) {
	t.Helper()
	parent, setting, err := memoryGroup()
	if err != nil {
		skipLimit(t, err)
	}
	dir := filepath.Join(parent, filepath.Base(os.Getenv(envWorkDir)))
	if err := os.Mkdir(dir, 0o755); err != nil {
		skipLimit(t, err)
	}
	remove := func() {
		if err := os.Remove(dir); err != nil {
			t.Errorf("removing a control group: %v", err)
		}
	}
	move := func(dir string) error { return setGroup(dir, "cgroup.procs", int64(s.pid())) }
	if err := setGroup(dir, setting, octets); err != nil {
		remove()
		skipLimit(t, err)
	}
	if err := move(dir); err != nil {
		remove()
		skipLimit(t, err)
	}
	return func() {
		if err := move(parent); err != nil {
			s.blame(t, "out of the control group: %v", err)
		}
		remove()
	}
}

// skipLimit leaves a fault out, and has "make test" say so.
func skipLimit(t *testing.T, err error) {
	t.Helper()
	noteLeftOut(fmt.Sprintf("%s: no control group with a memory limit to be had: %v", t.Name(), err))
	t.SkipNow()
}

func setGroup(dir, setting string, value int64) error {
	return os.WriteFile(filepath.Join(dir, setting), fmt.Append(nil, value), 0o644)
}

// memoryGroup returns the memory control group of this process, of either
// version, and the name of the limit there.
func memoryGroup() (dir, setting string, err error) {
	memberships, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", "", err
	}
	for line := range strings.Lines(string(memberships)) {
		_, of, _ := strings.Cut(strings.TrimSpace(line), ":")
		if path, ok := strings.CutPrefix(of, "memory:"); ok {
			return filepath.Join("/sys/fs/cgroup/memory", path), "memory.limit_in_bytes", nil
		}
		if path, ok := strings.CutPrefix(of, ":"); ok {
			dir = path // version 2, unless there is a line of version 1
		}
	}
	return filepath.Join("/sys/fs/cgroup", dir), "memory.max", nil
}
