package admin

import (
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// peerPID returns the process that listens at the other end of a unix socket, 0 if
// it is not known. Of a socket that systemd has made that is systemd.
func peerPID(c net.Conn) int {
	socket, ok := c.(*net.UnixConn)
	if !ok {
		return 0
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return 0
	}
	var peer *unix.Ucred
	failed := raw.Control(func(fd uintptr) { peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if failed != nil || err != nil {
		return 0
	}
	if _, err := os.Stat(systemdRuns); err == nil && peer.Pid == 1 {
		return 0
	}
	return int(peer.Pid)
}

// systemdRuns is there if systemd is the init process (sd_booted(3)).
const systemdRuns = "/run/systemd/system"
