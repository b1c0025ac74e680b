package daemon

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"mta-sts-daemon/config"
)

const (
	programName = "mta-sts-daemon"
	policyFile  = "policies.db"
)

// policyPath returns the path of the policy file: the configured path, else one
// in the state directory that systemd gives, else one in the user's (XDG Base
// Directory Specification).
func policyPath(cfg config.Cache) (string, error) {
	if cfg.File != "" {
		return cfg.File, nil
	}
	if dirs := os.Getenv("STATE_DIRECTORY"); dirs != "" {
		dir, _, _ := strings.Cut(dirs, ":")
		return filepath.Join(dir, policyFile), nil
	}
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, programName, policyFile), nil
	}
	if home := os.Getenv("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".local", "state", programName, policyFile), nil
	}
	return "", errors.New("cache.file: no state directory is known, because STATE_DIRECTORY and HOME are not set; name a file, or write off")
}
