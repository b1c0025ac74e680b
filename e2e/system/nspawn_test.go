package system

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// nspawn is systemd-nspawn, out of bookworm's tree and with that tree's
// libraries, so that the host need not have it.
func nspawn(args ...string) (*exec.Cmd, error) {
	tree := bookworm.tree().Dir()
	loader, err := onlyMatch(filepath.Join(tree, "lib*/ld-linux*.so.?"))
	if err != nil {
		return nil, err
	}
	libraries, err := onlyMatch(filepath.Join(tree, "usr/lib/*-linux-gnu*"))
	if err != nil {
		return nil, err
	}
	path := strings.Join([]string{libraries, filepath.Join(libraries, "systemd")}, ":")
	program := []string{"--library-path", path, filepath.Join(tree, "usr/bin/systemd-nspawn")}
	return exec.Command(loader, append(program, args...)...), nil
}

func onlyMatch(pattern string) (string, error) {
	found, err := filepath.Glob(pattern)
	if err != nil {
		return "", err
	}
	if len(found) != 1 {
		return "", fmt.Errorf("not one but %d files %s", len(found), pattern)
	}
	return found[0], nil
}
