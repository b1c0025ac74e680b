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

// socket returns why the client cannot open t's socket at path, or nothing. scope is the
// mail that is deferred then.
func (c client) socket(t postconf.Table, path, scope string) *Finding {
	inChroot, top := c.inChroot(t), c.main[queueDirectory]
	if filepath.IsAbs(t.Server.Address) && !inChroot {
		top = "/"
	}
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		f := unknown(checkAnswers, remedyOfPermissions, "%s cannot be looked at: %v", t.Text, err)
		return &f
	case err != nil && inChroot && c.outside(t):
		f := problem(checkAnswers, c.chrootRemedy(t),
			"%s: the smtp client runs in the chroot %s, which does not have that socket, so %s", t.Text, top, scope)
		return &f
	case err != nil:
		f := problem(checkAnswers, fmt.Sprintf("%s: socketmap: [\"unix:%s\"]", remedyOfSilence, path),
			"There is no %s, which %s names, so %s", path, t.Text, scope)
		return &f
	case info.Mode().Type() != fs.ModeSocket:
		f := problem(checkAnswers, "remove it and restart the daemon", "%s is no socket, so %s", path, scope)
		return &f
	}
	who, err := lookUp(c.main[mailOwner])
	if err != nil {
		f := unknown(checkAnswers, "", "Whether Postfix may use %s is not known: %v", path, err)
		return &f
	}
	if blocks := who.blockedBy(top, path); blocks != "" {
		f := problem(checkAnswers, `listen: {socket_mode: "0666"}, or "0660" with socket_group: `+who.name+"; directories above it need x",
			"%s does not let the user %s reach the socket %s, so %s", blocks, who.name, path, scope)
		return &f
	}
	return nil
}

// outside reports whether t names a socket that exists outside the chroot.
func (c client) outside(t postconf.Table) bool {
	_, err := os.Lstat(c.seen(t.Server.Address, false))
	return err == nil && filepath.IsAbs(t.Server.Address)
}

// chrootRemedy returns how main.cf can name a socket that a client in the chroot finds.
func (c client) chrootRemedy(t postconf.Table) string {
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

// blockedBy returns what keeps a from connecting to the socket at path: a directory from
// top down that a may not search, or the socket. It is "" if nothing does.
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
