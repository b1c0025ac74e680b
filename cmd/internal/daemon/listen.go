package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"strconv"
	"syscall"
	"time"

	"mta-sts-daemon/config"
	"mta-sts-daemon/socketmap"
	"mta-sts-daemon/socketmap/tlspolicy"
)

// endpoint is a listener and what is spoken there.
type endpoint struct {
	net.Listener
	protocol socketmap.Protocol
	counted  string        // the protocol's name in the metrics
	idle     time.Duration // 0: connections may be idle for ever
}

func netstrings(l net.Listener, cfg config.Listen) endpoint {
	return endpoint{l, socketmap.Netstrings(), tlspolicy.Socketmap, cfg.IdleTimeout}
}

func tcpTable(l net.Listener, mapName string) endpoint {
	return endpoint{l, socketmap.TCPTable(mapName), tlspolicy.TCPTable, 0}
}

// listen takes the listeners that systemd passed and opens those that cfg names
// for the protocols of which it passed none; or none at all.
func listen(cfg config.Listen, p passed) (endpoints []endpoint, err error) {
	defer func() {
		if err != nil {
			closeAll(endpoints)
			endpoints = nil
		}
	}()
	for _, l := range p[socketmapName] {
		endpoints = append(endpoints, netstrings(l, cfg))
	}
	for _, l := range p[tcpTableName] {
		endpoints = append(endpoints, tcpTable(l, mapNameAt(cfg, l.Addr())))
	}
	if p[socketmapName] == nil {
		for _, address := range cfg.Socketmap {
			l, err := listenAt(address, cfg)
			if err != nil {
				return endpoints, fmt.Errorf("listen.socketmap: %w", err)
			}
			endpoints = append(endpoints, netstrings(l, cfg))
		}
	}
	if p[tcpTableName] == nil {
		for _, table := range cfg.TCPTable {
			l, err := listenAt(table.Address, cfg)
			if err != nil {
				return endpoints, fmt.Errorf("listen.tcp_table: %w", err)
			}
			endpoints = append(endpoints, tcpTable(l, table.Map))
		}
	}
	return endpoints, nil
}

// mapNameAt returns the map name that cfg gives the tcp_table listener of an
// address.
func mapNameAt(cfg config.Listen, at net.Addr) string {
	for _, table := range cfg.TCPTable {
		if table.Address.Network == at.Network() && table.Address.Address == at.String() {
			return table.Map
		}
	}
	return ""
}

func closeAll(endpoints []endpoint) {
	for _, e := range endpoints {
		e.Close()
	}
}

func listenAt(address config.Address, cfg config.Listen) (net.Listener, error) {
	if address.Network != config.Unix {
		return net.Listen(address.Network, address.Address)
	}
	path := address.Address
	l, err := net.Listen("unix", path)
	if errors.Is(err, syscall.EADDRINUSE) {
		if err := removeStale(path); err != nil {
			return nil, err
		}
		l, err = net.Listen("unix", path)
	}
	if err != nil {
		return nil, err
	}
	if err := setAccess(path, cfg); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// removeStale removes a socket that a daemon left behind when it was killed. A
// socket that somebody answers, and a file that is none, stay.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is there and is not a socket: remove it or name another path", path)
	}
	c, err := net.Dial("unix", path)
	if err == nil {
		c.Close()
		return fmt.Errorf("%s is in use by another program: stop that or name another path", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return err
	}
	return os.Remove(path)
}

// setAccess gives the socket at path its group and mode.
func setAccess(path string, cfg config.Listen) error {
	if cfg.SocketGroup != "" {
		gid, err := groupID(cfg.SocketGroup)
		if err != nil {
			return fmt.Errorf("socket_group: %w", err)
		}
		if err := os.Chown(path, -1, gid); err != nil {
			return fmt.Errorf("socket_group: %w", err)
		}
	}
	return os.Chmod(path, cfg.SocketMode)
}

// groupID takes a group's name or number.
func groupID(group string) (int, error) {
	if gid, err := strconv.Atoi(group); err == nil {
		return gid, nil
	}
	g, err := user.LookupGroup(group)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(g.Gid)
}

// names lists the addresses that were really taken: a port may have been left
// to the system to choose.
func names(endpoints []endpoint) (names []string) {
	for _, e := range endpoints {
		names = append(names, e.Addr().String())
	}
	return names
}
