package config

import (
	"errors"
	"io/fs"
	"log/slog"
	"net/netip"
	"testing"
)

func TestValidateDefault(t *testing.T) {
	t.Parallel()
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
}

// Configs made in code can hold what no file can say.
func TestValidateBad(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*Config){
		`mode: "" is not one of enforce, monitor`:                         func(c *Config) { c.Mode = "" },
		"answer_timeout: 0s is not between 10ms and 1m30s":                func(c *Config) { c.AnswerTimeout = 0 },
		`listen.socketmap: network "" is neither tcp nor unix`:            func(c *Config) { c.Listen.Socketmap = []Address{{}} },
		`listen.tcp_table.address: network "udp" is neither tcp nor unix`: func(c *Config) { c.Listen.TCPTable = []TCPTable{{Address: Address{"udp", ":1"}}} },
		"listen.socket_mode: 020000000666 is not between 0600 and 0777":   func(c *Config) { c.Listen.SocketMode = fs.ModeDir | 0o666 },
		`maps: "" is not a map name`:                                      func(c *Config) { c.Maps[""] = Map{} },
		"overrides: a domain is missing":                                  func(c *Config) { c.Overrides = map[OverrideKey]Override{{}: {NotFound: true}} },
		"overrides: .x.example:25 is neither a domain nor a next hop": func(c *Config) {
			c.Overrides = map[OverrideKey]Override{{Domain: domain(t, "x.example"), Subdomains: true, Port: 25}: {NotFound: true}}
		},
		"overrides: [x.example] is neither a domain nor a next hop": func(c *Config) {
			c.Overrides = map[OverrideKey]Override{{Domain: domain(t, "x.example"), Host: true}: {NotFound: true}}
		},
		"overrides.x.example: both notfound and a policy": func(c *Config) {
			c.Overrides = map[OverrideKey]Override{{Domain: domain(t, "x.example")}: {NotFound: true, Policy: "may"}}
		},
		"overrides..x.example: empty; write notfound or a TLS policy such as encrypt": func(c *Config) {
			c.Overrides = map[OverrideKey]Override{{Domain: domain(t, "x.example"), Subdomains: true}: {}}
		},
		`dns.servers: "" is not an IP address, a host name, IPv4:port, [IPv6]:port or NAME:port`:      func(c *Config) { c.DNS.Servers = []Server{{}} },
		"fetch.allow_networks: a network is missing":                                                  func(c *Config) { c.Fetch.AllowNetworks = []netip.Prefix{{}} },
		`log.level: "INFO+1" is not one of debug, info, notice, warning, error`:                       func(c *Config) { c.Log.Level = slog.LevelInfo + 1 },
		"cache.entries: 0 is not between 1 and 10000000\nrecheck_wait: 0s is not between 1ms and 10s": func(c *Config) { c.Cache.Entries = 0; c.RecheckWait = 0 },
	} {
		c := Default()
		change(&c)
		if err := c.Validate(); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

func TestErrorIsTyped(t *testing.T) {
	t.Parallel()
	_, err := Parse("f", []byte("mode: enforce\ndns: {timeout: 5}\n"), nil)
	want := Error{"f", 2, "dns.timeout", `"5" has no unit; write 5s, 5m or 5h`}
	if e, ok := errors.AsType[*Error](err); !ok || *e != want {
		t.Errorf("got %#v, want %#v", e, want)
	}
}
