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

// root is the user who may send requests to any daemon.
const root = 0

const (
	socketName  = "admin.sock"
	programName = "mta-sts-daemon"
)

// directories are those of a host that have runtime directories. Tests use others than those of
// onHost, where a daemon may run.
type directories struct {
	// unit is the directory that the unit's RuntimeDirectory= creates; without systemd it is root's.
	unit string
	// users has a runtime directory for each user who has logged in, by user id (pam_systemd(8)).
	users string
}

func onHost() directories { return directories{unit: "/run/mta-sts-daemon", users: "/run/user"} }

var errNoDirectory = errors.New("admin.socket: none of RUNTIME_DIRECTORY, XDG_RUNTIME_DIR, XDG_STATE_HOME and HOME says where the control socket may be; name a path")

// Path returns the path of the daemon's control socket: the one in the
// configuration, else one in the runtime directory that systemd gives, else one
// in a directory of the user's. root uses the unit's directory.
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

// Find returns the path of the control socket of the daemon on this host. The
// user's own daemon takes precedence over the unit's, except for root. If neither
// has a socket, Find returns the path in the user's directory.
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

// ofUser returns the possible paths of the control socket of this user's daemon,
// preferred first: in the runtime directory, and in the state directory for a
// daemon without one (XDG Base Directory Specification). A command may run
// without the XDG_RUNTIME_DIR that its daemon had, by cron for example.
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
