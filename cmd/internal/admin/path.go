package admin

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"mta-sts-daemon/config"
)

// root is the user who may ask any daemon.
const root = 0

const (
	socketName  = "admin.sock"
	programName = "mta-sts-daemon"
)

// directories are those of a host that have runtime directories. Tests use others than those of
// onHost, where a daemon may run.
type directories struct {
	// unit is what the unit's RuntimeDirectory= makes, and root's without systemd.
	unit string
	// users has a runtime directory for each user who has logged in, by number (pam_systemd(8)).
	users string
}

func onHost() directories { return directories{unit: "/run/mta-sts-daemon", users: "/run/user"} }

var errNoDirectory = errors.New("admin.socket: none of RUNTIME_DIRECTORY, XDG_RUNTIME_DIR, XDG_STATE_HOME and HOME says where the control socket may be; name a path")

// Path returns where a daemon makes its control socket: the path in the
// configuration, else in the runtime directory that systemd gives, else in a
// directory of the user's. root's is the unit's.
func Path(cfg config.Admin) (string, error) { return onHost().path(os.Geteuid(), cfg) }

func (d directories) path(uid int, cfg config.Admin) (string, error) {
	if path := told(cfg); path != "" {
		return path, nil
	}
	if users := d.ofUser(uid); len(users) > 0 {
		return users[0], nil
	}
	return "", errNoDirectory
}

// Find returns where to look for the control socket of the daemon on this host. The
// user's own daemon takes precedence over the unit's, except for root. If neither
// has a socket, it is where the user's would be.
func Find(cfg config.Admin) string { return onHost().find(os.Geteuid(), cfg) }

func (d directories) find(uid int, cfg config.Admin) string {
	if path := told(cfg); path != "" {
		return path
	}
	units := filepath.Join(d.unit, socketName)
	candidates := append(d.ofUser(uid), units)
	if uid == root {
		candidates = append([]string{units}, candidates...)
	}
	for _, path := range candidates {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return path
		}
	}
	return append(d.ofUser(uid), units)[0]
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

// ofUser returns where a daemon of this user may have its control socket, by
// preference: in the runtime directory, or without one in the state directory (XDG
// Base Directory Specification). A command may run without the XDG_RUNTIME_DIR that
// its daemon had, by cron for example.
func (d directories) ofUser(uid int) (paths []string) {
	add := func(dir string, below ...string) {
		if filepath.IsAbs(dir) {
			paths = append(paths, filepath.Join(append(append([]string{dir}, below...), programName, socketName)...))
		}
	}
	add(os.Getenv("XDG_RUNTIME_DIR"))
	if uid == root {
		return append(paths, filepath.Join(d.unit, socketName))
	}
	own := filepath.Join(d.users, strconv.Itoa(uid))
	if _, err := os.Stat(own); err == nil {
		add(own)
	}
	add(os.Getenv("XDG_STATE_HOME"))
	add(os.Getenv("HOME"), ".local", "state")
	return paths
}
