package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"mta-sts-daemon/cmd/internal/postconf"
)

// socket says why the client cannot open t's socket at path, or nothing.
func (c client) socket(t postconf.Table, path string) *Finding {
	inJail, top := c.jailedFor(t), c.main[queueDirectory]
	if filepath.IsAbs(t.Server.Address) && !inJail {
		top = "/"
	}
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		f := unknown(checkAnswers, remedyOfPermissions, "%s cannot be looked at: %v", t.Text, err)
		return &f
	case err != nil && inJail && c.outside(t):
		f := problem(checkAnswers, c.jailRemedy(t),
			"%s: the smtp client is in a jail and sees %s as the whole file system, where that socket is not"+deferred, t.Text, top)
		return &f
	case err != nil:
		f := problem(checkAnswers, "start the daemon: systemctl start mta-sts-daemon. If it runs, compare listen in its configuration: "+
			fmt.Sprintf("socketmap: [\"unix:%s\"]", path), "There is no %s, where %s leads"+deferred, path, t.Text)
		return &f
	case info.Mode().Type() != fs.ModeSocket:
		f := problem(checkAnswers, "remove it and restart the daemon", "%s is no socket"+deferred, path)
		return &f
	}
	who, err := lookUp(c.main[mailOwner])
	if err != nil {
		f := unknown(checkAnswers, "", "Whether Postfix may use %s cannot be told: %v", path, err)
		return &f
	}
	if blocks := who.blockedBy(top, path); blocks != "" {
		f := problem(checkAnswers, `listen: {socket_mode: "0666"}, or "0660" with socket_group: `+who.name+"; directories above it need x",
			"%s does not let the user %s reach the socket %s"+deferred, blocks, who.name, path)
		return &f
	}
	return nil
}

// outside reports whether t names a socket that is there, but not for those in
// the jail.
func (c client) outside(t postconf.Table) bool {
	_, err := os.Lstat(c.seen(t.Server.Address, false))
	return err == nil && filepath.IsAbs(t.Server.Address)
}

// jailRemedy says how main.cf can name the socket so that it is found from
// within the jail.
func (c client) jailRemedy(t postconf.Table) string {
	queue := c.main[queueDirectory] + "/"
	if within, ok := strings.CutPrefix(t.Server.Address, queue); ok {
		return fmt.Sprintf("write socketmap:unix:%s:%s in smtp_tls_policy_maps; postfix reload", within, t.Name)
	}
	return fmt.Sprintf("have the daemon listen on unix:%smta-sts/sock and write socketmap:unix:mta-sts/sock:%s; postfix reload", queue, t.Name)
}

// account is a user as the kernel sees one.
type account struct {
	name   string
	uid    uint32
	groups []uint32
}

func lookUp(name string) (account, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return account{}, err
	}
	ids, err := u.GroupIds()
	if err != nil {
		return account{}, err
	}
	a := account{name: name}
	for _, id := range append(ids, u.Gid) {
		gid, err := strconv.ParseUint(id, 10, 32)
		if err != nil {
			return account{}, fmt.Errorf("group %s of user %s is not a number", id, name)
		}
		a.groups = append(a.groups, uint32(gid))
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	a.uid = uint32(uid)
	return a, err
}

const (
	mayWrite  = 0o2
	maySearch = 0o1
)

// blockedBy returns what keeps a from connecting to the socket at path: a
// directory from top down that a may not pass, or the socket. It is "" where
// nothing does.
func (a account) blockedBy(top, path string) string {
	relative, err := filepath.Rel(top, path)
	if err != nil {
		return path
	}
	at := top
	parts := strings.Split(relative, "/")
	for _, part := range parts {
		if !a.may(maySearch, at) {
			return at
		}
		at = filepath.Join(at, part)
	}
	if !a.may(mayWrite, at) {
		return at
	}
	return ""
}

// may reports whether path's mode lets a do it.
func (a account) may(what fs.FileMode, path string) bool {
	info, err := os.Stat(path)
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	mode := info.Mode().Perm()
	switch {
	case !ok || a.uid == 0:
		return true
	case stat.Uid == a.uid:
		mode >>= 6
	case slices.Contains(a.groups, stat.Gid):
		mode >>= 3
	}
	return mode&what != 0
}
