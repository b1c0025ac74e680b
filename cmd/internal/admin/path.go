package admin

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"mta-sts-daemon/config"
)

const (
	socketName = "admin.sock"
	// runtimeDir is what the unit's RuntimeDirectory= makes, and root's
	// without systemd.
	runtimeDir = "/run/mta-sts-daemon"
)

var errNoDirectory = errors.New("admin.socket: no runtime directory is known, for want of RUNTIME_DIRECTORY and XDG_RUNTIME_DIR; name a path")

// Path returns where a daemon makes its control socket: where the configuration
// says, else in the runtime directory that systemd gives, else in the user's
// (XDG Base Directory Specification).
func Path(cfg config.Admin) (string, error) {
	if path := told(cfg); path != "" {
		return path, nil
	}
	if path := inUsers(); path != "" {
		return path, nil
	}
	if os.Geteuid() == 0 {
		return filepath.Join(runtimeDir, socketName), nil
	}
	return "", errNoDirectory
}

// Find returns where to look for the control socket of the daemon on this host:
// systemd's, where it runs one, goes before the user's own.
func Find(cfg config.Admin) string {
	if path := told(cfg); path != "" {
		return path
	}
	systemds := filepath.Join(runtimeDir, socketName)
	if _, err := os.Lstat(systemds); err == nil {
		return systemds
	}
	if path := inUsers(); path != "" {
		return path
	}
	return systemds
}

// told is the path that configuration or systemd name.
func told(cfg config.Admin) string {
	if cfg.Socket != "" {
		return cfg.Socket
	}
	if dirs := os.Getenv("RUNTIME_DIRECTORY"); dirs != "" {
		dir, _, _ := strings.Cut(dirs, ":")
		return filepath.Join(dir, socketName)
	}
	return ""
}

func inUsers() string {
	if dir := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "mta-sts-daemon", socketName)
	}
	return ""
}
