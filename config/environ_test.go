package config

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestGoodVariable tests variables that are accepted, and how they change the
// configuration of a file.
func TestGoodVariable(t *testing.T) {
	t.Parallel()
	const file = "mode: monitor\ndns: {servers: [192.0.2.9], timeout: 3s}\noverrides: {a.example: notfound, b.example: notfound}\n"
	notFound := Override{NotFound: true}
	byName := func(name string) OverrideKey { return OverrideKey{Domain: domain(t, name)} }
	for variable, change := range map[string]func(*Config){
		"MTA_STS_MODE=enforce":                         func(c *Config) { c.Mode = ModeEnforce },
		"MTA_STS_DNS_SERVERS=10.0.0.1,10.0.0.2":        func(c *Config) { c.DNS.Servers = []Server{{"10.0.0.1", 53}, {"10.0.0.2", 53}} },
		"MTA_STS_DNS_SERVERS= unbound:5353 , [::1]:54": func(c *Config) { c.DNS.Servers = []Server{{"unbound", 5353}, {"::1", 54}} },
		"MTA_STS_DNS_SERVERS=":                         func(c *Config) { c.DNS.Servers = nil },
		"MTA_STS_ANSWER_TIMEOUT=2s":                    func(c *Config) { c.AnswerTimeout = 2 * time.Second },
		"MTA_STS_LISTEN_SOCKET_MODE=0660":              func(c *Config) { c.Listen.SocketMode = 0o660 },
		"MTA_STS_LISTEN_SOCKETMAP=:8461,unix:/run/x":   func(c *Config) { c.Listen.Socketmap = []Address{tcp(":8461"), unix("/run/x")} },
		"MTA_STS_LISTEN_TCP_TABLE=:8462,:8463":         func(c *Config) { c.Listen.TCPTable = []TCPTable{{Address: tcp(":8462")}, {Address: tcp(":8463")}} },
		`MTA_STS_LISTEN_TCP_TABLE=[{address: ":8462", map: tlsrpt}, ":8463"]`: func(c *Config) {
			c.Listen.TCPTable = []TCPTable{{tcp(":8462"), "tlsrpt"}, {Address: tcp(":8463")}}
		},
		"MTA_STS_FETCH_ALLOW_NETWORKS=10.0.0.0/8": func(c *Config) { c.Fetch.AllowNetworks = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} },
		"MTA_STS_CACHE_SHARED_URL=redis://u:p=q@a": func(c *Config) {
			c.Cache.Shared.URL = "redis://u:p=q@a"
		},
		"MTA_STS_MAPS={x: {tlsrpt: true}}":             func(c *Config) { c.Maps["x"] = Map{TLSRPT: true} },
		"MTA_STS_OVERRIDES={c.example: notfound}":      func(c *Config) { c.Overrides[byName("c.example")] = notFound },
		"MTA_STS_OVERRIDES=c.example: notfound\n":      func(c *Config) { c.Overrides[byName("c.example")] = notFound },
		`MTA_STS_OVERRIDES={"a.example": "encrypt"}`:   func(c *Config) { c.Overrides[byName("a.example")] = Override{Policy: "encrypt"} },
		"MTA_STS_OVERRIDES=":                           func(*Config) {},
		"MTA_STS_FETCH_PROXY=":                         func(*Config) {},
		"MTA_STS_NO_SUCH_KEY=1":                        func(*Config) {},
		"mta_sts_mode=enforce":                         func(*Config) {},
		"MTA_STS_MODE":                                 func(*Config) {},
		"XMTA_STS_MODE=enforce":                        func(*Config) {},
		"MTA_STS_PORT_8461_TCP=tcp://10.96.0.1:8461":   func(*Config) {},
		"MTA_STS_CACHE_FILE=/data/a: b {c}, 'd'.db":    func(c *Config) { c.Cache.File = "/data/a: b {c}, 'd'.db" },
		"MTA_STS_TLSRPT_SOCKET=run/tlsrpt/tlsrpt.sock": func(c *Config) { c.TLSRPT.Socket = "run/tlsrpt/tlsrpt.sock" },
	} {
		want, err := Parse("f", []byte(file), nil)
		if err != nil {
			t.Fatal(err)
		}
		change(&want)
		got, err := Parse("f", []byte(file), []string{"PATH=/bin", variable})
		if err != nil {
			t.Errorf("%s: %v", variable, err)
		} else if d := diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", variable, d)
		}
	}
}

func TestBadVariable(t *testing.T) {
	t.Parallel()
	for variable, want := range map[string]string{
		"MTA_STS_MODE=Enforce":                                 `MTA_STS_MODE: mode: "Enforce" is not one of enforce, monitor`,
		"MTA_STS_MODE=":                                        `MTA_STS_MODE: mode: "" is not one of enforce, monitor`,
		"MTA_STS_MODE=\xff":                                    "MTA_STS_MODE: mode: not UTF-8",
		"MTA_STS_MODE=a\x1bb":                                  "MTA_STS_MODE: mode: control character U+001B",
		"MTA_STS_DNS_TIMEOUT=3":                                `MTA_STS_DNS_TIMEOUT: dns.timeout: "3" has no unit; write 3s, 3m or 3h`,
		"MTA_STS_DNS_SERVERS=10.0.0.1,":                        `MTA_STS_DNS_SERVERS: dns.servers: "" is not an IP address, a host name, IPv4:port, [IPv6]:port or NAME:port`,
		"MTA_STS_DNS_SERVERS=10.0.0.1 10.0.0.2":                `MTA_STS_DNS_SERVERS: dns.servers: "10.0.0.1 10.0.0.2" is not an IP address, a host name, IPv4:port, [IPv6]:port or NAME:port`,
		"MTA_STS_OVERRIDES=a.example":                          `MTA_STS_OVERRIDES:1: overrides: "a.example", but keys with values are wanted`,
		"MTA_STS_OVERRIDES={a.example: notfund}":               `MTA_STS_OVERRIDES:1: overrides.a.example: "notfund" is neither notfound nor one of Postfix's TLS levels dane, dane-only, encrypt, fingerprint, may, none, secure, verify`,
		"MTA_STS_OVERRIDES={a.example: notfound":               "MTA_STS_OVERRIDES:1: not YAML: did not find expected ',' or '}'",
		"MTA_STS_OVERRIDES=~":                                  "MTA_STS_OVERRIDES:1: overrides: no value; leave the key out to have its default",
		"MTA_STS_LISTEN_TCP_TABLE={address: ':8462'}":          "MTA_STS_LISTEN_TCP_TABLE:1: listen.tcp_table: keys with values, but a list such as [a, b] is wanted",
		"MTA_STS_CACHE_SHARED_URL=http://u:secret@kv.example":  "MTA_STS_CACHE_SHARED_URL: cache.shared.url: it begins with none of redis://, rediss://, redis+sentinel://, rediss+sentinel://, redis+cluster://, rediss+cluster://",
		"MTA_STS_CACHE_SHARED_KEY_FILE=redis://u:secret@there": `MTA_STS_CACHE_SHARED_KEY_FILE: cache.shared.key_file: "redis://..." is not an absolute path`,
	} {
		_, err := Parse("f", nil, []string{variable})
		if err == nil {
			t.Errorf("%q accepted, want %s", variable, want)
		} else if got := err.Error(); got != want {
			t.Errorf("%q:\n got %s\nwant %s", variable, got, want)
		}
	}
}

// Errors of the file come first, and valid variables still apply.
func TestVariableNextToBadFile(t *testing.T) {
	t.Parallel()
	c, err := Parse("f", []byte("mode: x\n"), []string{"MTA_STS_ADMIN_SOCKET=/run/a", "MTA_STS_TESTING=x"})
	const want = "f:1: mode: \"x\" is not one of enforce, monitor\nMTA_STS_TESTING: testing: \"x\" is not one of ignore, enforce"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if c.Admin.Socket != "/run/a" {
		t.Errorf("admin.socket is %q", c.Admin.Socket)
	}
}

func TestVariables(t *testing.T) {
	t.Parallel()
	set, unknown := Variables([]string{
		"HOME=/", "MTA_STS_MODE=x", "MTA_STS_DNS_SERVERS=1", "MTA_STS_DNS_SERVER=secret", "MTA_STS_PORT=tcp://10.96.0.1:8461",
		"MTA_STS_DNS={}", "MTA_STS_=1", "MTA_STS_A\nB=1", "MTA_STS_LOG_FORMATS",
	})
	if d := cmp.Diff([]string{"MTA_STS_DNS_SERVERS", "MTA_STS_MODE"}, set); d != "" {
		t.Errorf("set (-want +got):\n%s", d)
	}
	want := []string{
		`"MTA_STS_A\nB" sets no key and is ignored`,
		"MTA_STS_ sets no key and is ignored",
		"MTA_STS_DNS sets no key and is ignored",
		"MTA_STS_DNS_SERVER sets no key and is ignored; did you mean MTA_STS_DNS_SERVERS?",
		"MTA_STS_LOG_FORMATS sets no key and is ignored; did you mean MTA_STS_LOG_FORMAT?",
		"MTA_STS_PORT sets no key and is ignored",
	}
	if d := cmp.Diff(want, unknown); d != "" {
		t.Errorf("unknown (-want +got):\n%s", d)
	}
}

// Each key has a variable, and no two have the same.
func TestVariableNames(t *testing.T) {
	t.Parallel()
	names := map[string]string{}
	for _, k := range Keys() {
		if k.Section {
			continue
		}
		name := variableOf(k.Name)
		if other, twice := names[name]; twice {
			t.Errorf("%s sets %s and %s", name, other, k.Name)
		}
		names[name] = k.Name
		if set, _ := Variables([]string{name + "=x"}); len(set) != 1 {
			t.Errorf("%s does not set %s", name, k.Name)
		}
	}
}

// FuzzVariable tests that an accepted variable gives a valid value, and that an
// error names the variable in printable ASCII for every value.
func FuzzVariable(f *testing.F) {
	var keys []Key
	for _, k := range Keys() {
		if !k.Section {
			keys = append(keys, k)
		}
	}
	for i, k := range keys {
		f.Add(uint8(i), strings.Trim(k.Default, `"[]`))
	}
	f.Add(uint8(0), "{a: [\n")
	f.Fuzz(func(t *testing.T, i uint8, text string) {
		name := variableOf(keys[int(i)%len(keys)].Name)
		c, err := Parse("", nil, []string{name + "=" + text})
		if err == nil {
			readBack(t, c)
			return
		}
		for line := range strings.SplitSeq(err.Error(), "\n") {
			if !strings.HasPrefix(line, name+":") || !all(line, func(c byte) bool { return c == ' ' || isGraphic(c) }) {
				t.Errorf("message %q", line)
			}
		}
	})
}
