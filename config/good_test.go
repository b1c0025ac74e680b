package config

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mta-sts-daemon/resolver/mtasts"
)

// comparers are for the types that cmp cannot look into.
var comparers = cmp.Options{
	cmp.Comparer(func(a, b mtasts.Domain) bool { return a == b }),
	cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
}

func diff(want, got Config) string { return cmp.Diff(want, got, comparers) }

func tcp(s string) Address  { return Address{TCP, s} }
func unix(s string) Address { return Address{Unix, s} }

func domain(t *testing.T, name string) mtasts.Domain {
	t.Helper()
	d, err := mtasts.ParseDomain(name)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestGood tests files that are accepted, and how they change the default.
func TestGood(t *testing.T) {
	t.Parallel()
	none := func(*Config) {}
	for text, change := range map[string]func(*Config){
		"":                    none,
		"# comments alone\n":  none,
		"---\n":               none,
		"{}":                  none,
		"dns: {}\n":           none,
		"\ufeffmode: enforce": none,
		"mode: enforce\r\n":   none,
		"mode: monitor":       func(c *Config) { c.Mode = ModeMonitor },
		`"mode": "monitor"`:   func(c *Config) { c.Mode = ModeMonitor },
		"testing: enforce":    func(c *Config) { c.Testing = TestingEnforce },
		"answer_timeout: 1m30s": func(c *Config) {
			c.AnswerTimeout = 90 * time.Second
		},
		"recheck_wait: 1ms": func(c *Config) { c.RecheckWait = time.Millisecond },

		`cache: {shared: {url: "rediss+sentinel://u:p%40w@a?addr=b&master=m", password_file: /p, ca_file: /ca, key_file: /key, prefix: mx-1, timeout: 1s}}`: func(c *Config) {
			c.Cache.Shared = Shared{URL: "rediss+sentinel://u:p%40w@a?addr=b&master=m", PasswordFile: "/p", CAFile: "/ca", KeyFile: "/key", Prefix: "mx-1", Timeout: time.Second}
		},
		"listen: {socketmap: []}": func(c *Config) { c.Listen.Socketmap = nil },
		`listen: {socketmap: [":8461", "[::1]:0", "localhost:1", "unix:/run/a b.sock"]}`: func(c *Config) {
			c.Listen.Socketmap = []Address{tcp(":8461"), tcp("[::1]:0"), tcp("localhost:1"), unix("/run/a b.sock")}
		},
		`listen: {tcp_table: ["127.0.0.1:8462", {address: "unix:/t", map: tlsrpt}, {address: ":1"}]}`: func(c *Config) {
			c.Listen.TCPTable = []TCPTable{{Address: tcp("127.0.0.1:8462")}, {unix("/t"), "tlsrpt"}, {Address: tcp(":1")}}
		},
		`listen: {socket_mode: "0660"}`:      func(c *Config) { c.Listen.SocketMode = 0o660 },
		`listen: {socket_mode: 0660}`:        func(c *Config) { c.Listen.SocketMode = 0o660 },
		`listen: {socket_mode: 600}`:         func(c *Config) { c.Listen.SocketMode = 0o600 },
		`listen: {socket_group: postfix}`:    func(c *Config) { c.Listen.SocketGroup = "postfix" },
		`listen: {socket_group: 107}`:        func(c *Config) { c.Listen.SocketGroup = "107" },
		`listen: {max_connections: 1}`:       func(c *Config) { c.Listen.MaxConnections = 1 },
		`listen: {max_connections: "20"}`:    func(c *Config) { c.Listen.MaxConnections = 20 },
		`listen: {idle_timeout: 1h}`:         func(c *Config) { c.Listen.IdleTimeout = time.Hour },
		"maps: {m: {}, t: {tlsrpt: true}}":   func(c *Config) { c.Maps["m"] = Map{}; c.Maps["t"] = Map{TLSRPT: true} },
		"maps: {sts: {max_answer: 250}}":     func(c *Config) { c.Maps["sts"] = Map{MaxAnswer: 250} },
		"maps: {tlsrpt: {tlsrpt: false}}":    func(c *Config) { c.Maps["tlsrpt"] = Map{} },
		"dns: {timeout: 500ms, dane: off}":   func(c *Config) { c.DNS.Timeout = 500 * time.Millisecond; c.DNS.DANE = DANEOff },
		"fetch: {timeout: 5s, ca_file: /ca}": func(c *Config) { c.Fetch.Timeout = 5 * time.Second; c.Fetch.CAFile = "/ca" },

		`dns: {servers: [192.0.2.1, "192.0.2.2:5353", "::1", "[fe80::1%eth0]:54", "::ffff:192.0.2.3"]}`: func(c *Config) {
			c.DNS.Servers = []Server{{"192.0.2.1", 53}, {"192.0.2.2", 5353}, {"::1", 53}, {"fe80::1%eth0", 54}, {"192.0.2.3", 53}}
		},
		`dns: {servers: [unbound, "resolver.example:5353", "Resolver.lan."]}`: func(c *Config) {
			c.DNS.Servers = []Server{{"unbound", 53}, {"resolver.example", 5353}, {"Resolver.lan.", 53}}
		},
		`fetch: {proxy: "http://proxy.example:3128"}`: func(c *Config) { c.Fetch.Proxy = "proxy.example:3128" },
		`fetch: {proxy: "http://[::1]:3128/"}`:        func(c *Config) { c.Fetch.Proxy = "[::1]:3128" },
		`fetch: {allow_networks: [10.0.0.0/8, 192.0.2.1, "::1", "fd00::/8"]}`: func(c *Config) {
			for _, s := range []string{"10.0.0.0/8", "192.0.2.1/32", "::1/128", "fd00::/8"} {
				c.Fetch.AllowNetworks = append(c.Fetch.AllowNetworks, netip.MustParsePrefix(s))
			}
		},
		`cache: {file: ""}`:                     none,
		"cache: {file: off}":                    func(c *Config) { c.Cache.File = MemoryOnly },
		"cache: {file: /p.db}":                  func(c *Config) { c.Cache.File = "/p.db" },
		"cache: {entries: 1}":                   func(c *Config) { c.Cache.Entries = 1 },
		"cache: {negative_entries: 1}":          func(c *Config) { c.Cache.NegativeEntries = 1 },
		"refresh: {interval: 8766h, idle: 1h}":  func(c *Config) { c.Refresh.Interval = longestAge; c.Refresh.Idle = time.Hour },
		"refresh: {concurrency: 1}":             func(c *Config) { c.Refresh.Concurrency = 1 },
		"tlsrpt: {socket: /run/tlsrpt.socket}":  func(c *Config) { c.TLSRPT.Socket = "/run/tlsrpt.socket" },
		"tlsrpt: {socket: run/tlsrpt.socket}":   func(c *Config) { c.TLSRPT.Socket = "run/tlsrpt.socket" },
		`tlsrpt: {socket: ""}`:                  none,
		"admin: {socket: /run/a.sock}":          func(c *Config) { c.Admin.Socket = "/run/a.sock" },
		`metrics: {listen: ""}`:                 none,
		`metrics: {listen: "127.0.0.1:9461"}`:   func(c *Config) { c.Metrics.Listen = tcp("127.0.0.1:9461") },
		"metrics: {page: true}":                 func(c *Config) { c.Metrics.Page = true },
		"metrics: {listen: 'unix:/run/m.sock'}": func(c *Config) { c.Metrics.Listen = unix("/run/m.sock") },
		"log: {level: debug, format: json}":     func(c *Config) { c.Log = Log{LogDebug, LogJSON} },
		"log: {level: notice, format: text}":    func(c *Config) { c.Log = Log{LogNotice, LogText} },
		"log: {level: warning}":                 func(c *Config) { c.Log.Level = LogWarning },
		"log: {level: error}":                   func(c *Config) { c.Log.Level = LogError },
	} {
		got, err := Parse("f", []byte(text), nil)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		want := Default()
		change(&want)
		if d := diff(want, got); d != "" {
			t.Errorf("%q (-want +got):\n%s", text, d)
		}
		again, err := Parse("f", []byte(schema(&got).text()), nil)
		if d := diff(want, again); err != nil || d != "" {
			t.Errorf("%q is written as %s: %v (-want +got):\n%s", text, schema(&got).text(), err, d)
		}
	}
}

func TestGoodOverrideKey(t *testing.T) {
	t.Parallel()
	got, err := Parse("f", []byte(`overrides:
  X.example.: none
  .x.example: may
  bücher.example: notfound
  "[mx.x.example]": {answer: encrypt}
  "[mx.x.example]:submission": {until: 2026-12-01, answer: notfound}
  x.example:587: {answer: "secure match=mx.x.example", until: "2026-12-01T08:00:00+01:00"}
  a.onion: may
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Overrides = map[OverrideKey]Override{
		{Domain: domain(t, "x.example")}:                   {Policy: "none"},
		{Domain: domain(t, "x.example"), Subdomains: true}: {Policy: "may"},
		{Domain: domain(t, "xn--bcher-kva.example")}:       {NotFound: true},

		{Domain: domain(t, "mx.x.example"), Host: true, Port: 25}:  {Policy: "encrypt"},
		{Domain: domain(t, "mx.x.example"), Host: true, Port: 587}: {NotFound: true, Until: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)},
		{Domain: domain(t, "x.example"), Port: 587}:                {Policy: "secure match=mx.x.example", Until: time.Date(2026, 12, 1, 7, 0, 0, 0, time.UTC)},
		{Domain: domain(t, "a.onion")}:                             {Policy: "may"},
	}
	if d := diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	again, err := Parse("f", []byte(schema(&got).text()), nil)
	if d := diff(want, again); err != nil || d != "" {
		t.Errorf("is written as %s: %v (-want +got):\n%s", schema(&got).text(), err, d)
	}
}

// Policies that Postfix understands are kept as they are written.
func TestGoodOverridePolicy(t *testing.T) {
	t.Parallel()
	for _, policy := range []string{
		"none", "may", "encrypt", "dane", "dane-only", "fingerprint", "verify", "secure", "Secure",
		"secure match=mx.x.example servername=hostname",
		"secure match=nexthop:dot-nexthop:.x.example match=hostname",
		"secure, match=mx.x.example,MATCH=mx2.x.example",
		"fingerprint match=AA:BB|CC:DD match=EE:FF",
		"verify tafile=/etc/a.pem tafile=/etc/b.pem",
		"encrypt ciphers=HIGH exclude=aNULL:MD5 protocols=!SSLv2:!sslv3",
		"encrypt protocols=>=TLSv1.2:<=0x0304 connection_reuse=yes enable_rpk=no",
		"may servername=mx.x.example.",
	} {
		got, err := Parse("f", []byte("overrides: {x.example: '"+policy+"'}"), nil)
		if err != nil {
			t.Errorf("%q: %v", policy, err)
			continue
		}
		key := OverrideKey{Domain: domain(t, "x.example")}
		if o := got.Overrides[key]; o != (Override{Policy: policy}) {
			t.Errorf("%q became %+v", policy, o)
		}
	}
}
