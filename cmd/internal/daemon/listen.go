package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"mta-sts-daemon/config"
	"mta-sts-daemon/socketmap"
	"mta-sts-daemon/socketmap/tlspolicy"
)

// nameTimeout limits how long names in listen.tcp_table are looked up at the start,
// to find the map names of passed sockets.
const nameTimeout = 5 * time.Second

// endpoint is a listener and its protocol.
type endpoint struct {
	net.Listener
	protocol socketmap.Protocol
	counted  string        // the protocol's name in the metrics
	idle     time.Duration // limit of idle connections; 0: none
}

func netstrings(l net.Listener, cfg config.Listen) endpoint {
	return endpoint{l, socketmap.Netstrings(), tlspolicy.Socketmap, cfg.IdleTimeout}
}

func tcpTable(l net.Listener, mapName string) endpoint {
	return endpoint{l, socketmap.TCPTable(mapName), tlspolicy.TCPTable, 0}
}

// replace returns cfg with the addresses of the passed sockets in place of those that
// they replace. An address that cfg has too is written as there, perhaps with a host name, as
// main.cf may have it.
func (p passed) replace(ctx context.Context, cfg config.Listen) config.Listen {
	ctx, cancel := context.WithTimeout(ctx, nameTimeout)
	defer cancel()
	var socketmaps []config.Address
	for _, l := range p[socketmapName] {
		at := address(l)
		for _, configured := range cfg.Socketmap {
			if isAt(ctx, configured, l.Addr()) {
				at = configured
			}
		}
		socketmaps = append(socketmaps, at)
	}
	var tables []config.TCPTable
	for _, l := range p[tcpTableName] {
		table := config.TCPTable{Address: address(l)}
		for _, configured := range cfg.TCPTable {
			if isAt(ctx, configured.Address, l.Addr()) {
				table = configured
			}
		}
		tables = append(tables, table)
	}
	if len(socketmaps) > 0 {
		cfg.Socketmap = socketmaps
	}
	if len(tables) > 0 {
		cfg.TCPTable = tables
	}
	return cfg
}

func address(l net.Listener) config.Address {
	return config.Address{Network: l.Addr().Network(), Address: l.Addr().String()}
}

// listen takes the listeners that systemd passed, and opens those that cfg names
// for the protocols of which it passed none. If one fails, none stays open.
func listen(ctx context.Context, cfg config.Listen, p passed) (endpoints []endpoint, err error) {
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
		endpoints = append(endpoints, tcpTable(l, mapNameAt(ctx, cfg, l.Addr())))
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
	if len(endpoints) == 0 {
		return nil, errNowhere
	}
	return endpoints, nil
}

// errNowhere says that Postfix cannot ask.
var errNowhere = errors.New("listen: no address to answer lookups at, so the daemon does not start: name one in listen.socketmap, unless a socket unit passes a socket")

// mapNameAt returns the map name that cfg gives to the tcp_table listener at an
// address, however the address is written.
func mapNameAt(ctx context.Context, cfg config.Listen, at net.Addr) string {
	ctx, cancel := context.WithTimeout(ctx, nameTimeout)
	defer cancel()
	for _, table := range cfg.TCPTable {
		if isAt(ctx, table.Address, at) {
			return table.Map
		}
	}
	return ""
}

// isAt reports whether a listener at the address of the configuration would be
// the one at the address that the system reports.
func isAt(ctx context.Context, configured config.Address, at net.Addr) bool {
	tcp, ok := at.(*net.TCPAddr)
	if !ok || configured.Network != config.TCP {
		return configured.Network == at.Network() && samePath(configured.Address, at.String())
	}
	host, port, err := net.SplitHostPort(configured.Address)
	if err != nil || port != strconv.Itoa(tcp.Port) {
		return false
	}
	ip := tcp.AddrPort().Addr().Unmap()
	if host == "" {
		return ip.IsUnspecified()
	}
	candidates, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	return err == nil && slices.ContainsFunc(candidates, func(c netip.Addr) bool {
		c = c.Unmap()
		return c == ip || c.IsUnspecified() && ip.IsUnspecified()
	})
}

// samePath reports whether two paths name the same file, also if one leads
// through a symbolic link.
func samePath(a, b string) bool {
	infoA, errA := os.Lstat(a)
	infoB, errB := os.Lstat(b)
	return filepath.Clean(a) == filepath.Clean(b) || errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

func closeAll(endpoints []endpoint) {
	for _, e := range endpoints {
		e.Close()
	}
}

func listenAt(address config.Address, access config.Listen) (net.Listener, error) {
	if address.Network == config.Unix {
		return listenUnix(address.Address, access)
	}
	return net.Listen(address.Network, address.Address)
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

// names lists the addresses in use: the system may have chosen a port.
func names(endpoints []endpoint) (names []string) {
	for _, e := range endpoints {
		names = append(names, e.Addr().String())
	}
	return names
}
