// Package config reads the daemon's YAML file into a checked Config.
//
// The file is a mapping of sections to keys, for example
//
//	dns:
//	  servers: ["127.0.0.1"]
//	  timeout: 2s
//
// The schema (schema.go) has one entry for every key: its place in Config, its
// default, the values it accepts and its documentation. Parsing, the error
// messages, the manual page and the example file all come from it. A variable of
// the environment can set a key instead of the file. Every error of a file is
// reported, each with its line and key.
//
// A reload applies every key except those of listen and cache.shared, and
// cache.file: these need a restart.
package config

import (
	"io/fs"
	"net"
	"net/netip"
	"strconv"
	"time"
)

// Config is the whole configuration, as Parse and Load return it, checked. Code that makes one
// starts from Default.
type Config struct {
	// Mode says whether lookups are answered at all. Default: enforce.
	Mode Mode

	// AnswerTimeout bounds how long a lookup waits for a domain that is not
	// known yet; the discovery behind it goes on. It should stay below
	// Postfix's own patience with a map, which is 100 s. Default: 8s. A reload
	// applies it to the lookups that follow.
	AnswerTimeout time.Duration

	// Listen says where Postfix finds the daemon. A reload does not apply it.
	Listen Listen

	// Maps says how to answer socketmap requests by map name. Names compare
	// exactly; one that is not listed gets the zero Map. Default: tlsrpt, with
	// report attributes; a file adds to that. A reload applies it.
	Maps map[string]Map

	// Testing selects how a policy of mode testing is answered. Default: ignore.
	// A reload applies it to cached policies too.
	Testing TestingMode

	// Overrides answer before anything else is asked, unless Mode is monitor. The
	// most exact key takes precedence: a next hop, then its domain, then the
	// subdomains of a parent, the longest parent first. One that has ended does
	// not count. Default: none. A reload replaces them all.
	Overrides map[OverrideKey]Override

	// DNS configures DNS lookups. A reload applies it to later lookups; cached
	// policies stay.
	DNS DNS

	// Fetch says how policies are fetched. A reload applies it to the fetches
	// that follow.
	Fetch Fetch

	// Cache configures the policies kept in memory and in the policy file.
	Cache Cache

	// Refresh configures the refresh of cached policies. A reload applies it to
	// refreshes that are scheduled afterwards.
	Refresh Refresh

	// RecheckWait bounds how long a lookup whose domain is cached waits for
	// news of it, when the TXT record's time to live has passed. It never makes
	// a lookup exceed AnswerTimeout. Default: 500ms. A reload applies it to the
	// lookups that follow.
	RecheckWait time.Duration

	// Admin is the private control socket.
	Admin Admin

	// Metrics is the HTTP listener for monitoring.
	Metrics Metrics

	// TLSRPT says where failed discoveries are reported. A reload applies it to the
	// lookups that follow.
	TLSRPT TLSRPT

	// Log configures the log. A reload applies it at once.
	Log Log
}

// Listen says where Postfix finds the daemon. Sockets that systemd passes
// replace the addresses. A reload applies none of it.
type Listen struct {
	// Socketmap are the addresses that speak socketmap_table(5). Default:
	// 127.0.0.1:8461.
	Socketmap []Address

	// TCPTable are the listeners that speak tcp_table(5). Default: none.
	TCPTable []TCPTable

	// SocketMode is the mode of the unix sockets that the daemon makes.
	// Default: 0666, because Postfix's chroot and users differ from host to
	// host and a lookup gives away nothing.
	SocketMode fs.FileMode

	// SocketGroup is the name or number of the group that owns these sockets.
	// Default: empty, the daemon's own group.
	SocketGroup string

	// MaxConnections bounds the connections of all these listeners together;
	// at the limit, a silent one or the one idle longest makes room. Default: 2000.
	MaxConnections int

	// IdleTimeout is how long a socketmap connection may be idle; tcp_table
	// connections have no such limit. Default: 120s.
	IdleTimeout time.Duration
}

// TCPTable is one tcp_table(5) listener.
type TCPTable struct {
	Address Address

	// Map is the map name that this listener answers as, because the protocol
	// has none; see Config.Maps. Default: empty, a plain answer.
	Map string
}

// Map says how to answer the requests of one map name.
type Map struct {
	// TLSRPT adds the attributes that Postfix needs for TLS reports. Default:
	// false.
	TLSRPT bool
	// MaxAnswer is how many bytes an answer may have, for programs that cannot use longer
	// ones; instead of a longer one they get a temporary error. Such answers have no
	// report attributes. 0, the default: as many as Postfix reads.
	MaxAnswer int
}

// DNS says how names are looked up.
type DNS struct {
	// Servers are the resolvers to ask, all of them, with failover; their port
	// is 53 if the file names none. Default: none, which means those of
	// /etc/resolv.conf, followed as it changes.
	Servers []Server

	// Timeout bounds one question, over every server and try. A lookup's
	// AnswerTimeout may end its wait earlier. Default: 5s.
	Timeout time.Duration

	// DANE decides whether DANE takes precedence over STS. Default: auto.
	DANE DANE
}

// Server is a recursive resolver. It is comparable.
type Server struct {
	// Host is an IP address or a host name. A name is looked up through
	// /etc/resolv.conf, without search domains, at a start, at a reload, and
	// again whenever no server answers.
	Host string
	Port uint16
}

// String returns the server in the file's form.
func (s Server) String() string { return net.JoinHostPort(s.Host, strconv.Itoa(int(s.Port))) }

// Fetch says how policies are fetched.
type Fetch struct {
	// Timeout bounds one fetch in all, RFC 8461 section 3.3. Default: 60s.
	Timeout time.Duration

	// CAFile is the absolute path of a PEM file with the roots to trust in
	// place of the system's. Default: empty, the system's. Either is read again
	// at a reload and every day.
	CAFile string

	// Proxy is the "host:port" of an HTTP proxy that connects to policy hosts
	// for the daemon; the file writes it as http://host:port. Default: empty,
	// none.
	Proxy string

	// AllowNetworks are networks that policy hosts may be in although they are
	// not public: loopback, private, link-local and so on. Default: none.
	AllowNetworks []netip.Prefix
}

// Cache configures the policies kept in memory and in the policy file.
type Cache struct {
	// File is the absolute path of the file that keeps policies across
	// restarts; MemoryOnly keeps none. Default: empty, which means policies.db
	// in systemd's state directory, else in the user's. A reload does not apply
	// it.
	File string

	// Entries limits the number of policies in memory; File holds all of them.
	// Default: 100000. A reload applies it and evicts policies over the limit.
	Entries int

	// NegativeEntries bounds the domains in memory that are known to have no
	// policy. Default: 200000. A reload applies it likewise.
	NegativeEntries int

	// Shared configures a store that several daemons share.
	Shared Shared
}

// Shared configures a store that several daemons share, on Valkey or Redis. A
// reload applies none of it, nor reads its files again.
type Shared struct {
	// URL is the address of the servers, in the format of storeurl.Parse. It may
	// contain a password. Default: empty; policies are not shared.
	URL string

	// PasswordFile is the absolute path of a file with the password, in place
	// of one in URL. Default: empty.
	PasswordFile string

	// CAFile is the absolute path of a PEM file with the roots that servers
	// are verified against, where URL wants TLS. Default: empty, the system's.
	CAFile string

	// KeyFile is the absolute path of a file with the key that authenticates
	// shared values; all nodes use the same key. Default: empty; values are not
	// authenticated.
	KeyFile string

	// Prefix begins the names of everything that is kept there, so that
	// several groups of nodes can use one server. Default: mta-sts.
	Prefix string

	// Timeout is the longest time that a lookup waits for the servers. Default:
	// 100ms.
	Timeout time.Duration
}

// MemoryOnly is the Cache.File that keeps nothing across restarts.
const MemoryOnly = "off"

// Refresh says how cached policies are kept fresh.
type Refresh struct {
	// Interval is the age at which a policy in use is fetched again although its
	// id is the same; half of its max_age if that is shorter. Default: 24h.
	Interval time.Duration

	// Idle is how long a domain is refreshed after the last lookup of it.
	// Default: 336h, that is 14 days.
	Idle time.Duration

	// Concurrency bounds the refreshes under way at once. Default: 16.
	Concurrency int
}

// Admin is the private control socket.
type Admin struct {
	// Socket is its absolute path. Default: empty, which means admin.sock in
	// systemd's runtime directory, else in the user's, else in the user's state
	// directory. A reload moves the socket.
	Socket string
}

// Metrics is the HTTP listener for /metrics, /healthz and /readyz.
type Metrics struct {
	// Listen is its address. Default: zero, no listener. A reload moves it.
	Listen Address

	// Page is whether it serves the status page at /, which names domains. Default:
	// false. A reload applies it.
	Page bool
}

// TLSRPT says where failed discoveries are reported, for TLS reports (RFC 8460).
type TLSRPT struct {
	// Socket is the path of the datagram socket of this host's collector, as in
	// Postfix's smtp_tlsrpt_socket_name: absolute, or relative to Postfix's
	// queue_directory. Default: empty, nothing is reported.
	Socket string
}

// Log configures the log.
type Log struct {
	// Level is the least level that is logged. Default: info.
	Level LogLevel

	// Format is how log entries are written. Default: auto.
	Format LogFormat
}

// Default returns the configuration of an empty file.
func Default() Config {
	return Config{
		Mode:          ModeEnforce,
		AnswerTimeout: 8 * time.Second,
		Listen: Listen{
			Socketmap:      []Address{{Network: TCP, Address: "127.0.0.1:8461"}},
			SocketMode:     0o666,
			MaxConnections: 2000,
			IdleTimeout:    2 * time.Minute,
		},
		Maps:    map[string]Map{"tlsrpt": {TLSRPT: true}},
		Testing: TestingIgnore,
		DNS:     DNS{Timeout: 5 * time.Second, DANE: DANEAuto},
		Fetch:   Fetch{Timeout: time.Minute},
		Cache: Cache{
			Entries:         100_000,
			NegativeEntries: 200_000,
			Shared:          Shared{Prefix: "mta-sts", Timeout: 100 * time.Millisecond},
		},
		Refresh: Refresh{
			Interval:    24 * time.Hour,
			Idle:        14 * 24 * time.Hour,
			Concurrency: 16,
		},
		RecheckWait: 500 * time.Millisecond,
		Log:         Log{Level: LogInfo, Format: LogAuto},
	}
}
