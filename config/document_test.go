package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestKeys(t *testing.T) {
	t.Parallel()
	keys := map[string]Key{}
	for _, k := range Keys() {
		keys[k.Name] = k
		if !k.Section && (k.About == "" || k.Values == "" || k.Default == "") {
			t.Errorf("%s lacks prose, values or default: %+v", k.Name, k)
		}
	}
	for _, want := range []Key{
		{Name: "dns", Section: true},
		{
			Name: "cache.file", Values: "/path or off", Default: `""`, Restart: true,
			About: "The policy file. Empty: policies.db in the state directory that systemd made, else in\n" +
				"the user's state directory. off: no file; a restart loses all policies.",
		},
		{
			Name: "listen.socketmap", Values: "a list of host:port or unix:/path",
			Default: `["127.0.0.1:8461"]`, Restart: true, About: "Addresses for socketmap_table(5).",
		},
		{
			Name: "cache.entries", Values: "1 to 10000000", Default: "100000",
			About: "How many policies are kept in memory. The file keeps all.",
		},
	} {
		if d := cmp.Diff(want, keys[want.Name]); d != "" {
			t.Errorf("%s (-want +got):\n%s", want.Name, d)
		}
	}
}

// What each kind of field is said to hold, and its default in the file's words.
func TestValues(t *testing.T) {
	t.Parallel()
	type row struct{ values, text string }
	want := map[string]row{
		"mode":                 {"enforce or monitor", "enforce"},
		"log.level":            {"debug, info, notice, warning or error", "info"},
		"answer_timeout":       {"10ms to 1m30s", "8s"},
		"listen.tcp_table":     {"a list of host:port or unix:/path, or {address: ADDRESS, map: MAP}", "[]"},
		"listen.socket_mode":   {`"0600" to "0777"`, `"0666"`},
		"maps":                 {"MAP: {tlsrpt: true or false, max_answer: 0 to 100000}", "{tlsrpt: {tlsrpt: true, max_answer: 0}}"},
		"overrides":            {"DOMAIN, .DOMAIN, [HOST]:PORT or DOMAIN:PORT: notfound or a TLS policy, or {answer: ANSWER, until: DATE}", "{}"},
		"dns.servers":          {"a list of IP, IP:port, NAME or NAME:port", "[]"},
		"fetch.proxy":          {"http://host:port", `""`},
		"fetch.allow_networks": {"a list of IP/BITS or IP", "[]"},
	}
	got := map[string]row{}
	for _, k := range Keys() {
		if _, ok := want[k.Name]; ok {
			got[k.Name] = row{k.Values, k.Default}
		}
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(row{})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// Text has what differs from the default, and reads back as the same configuration.
func TestText(t *testing.T) {
	t.Parallel()
	if text := Default().Text(); text != "" {
		t.Errorf("of the default: %q", text)
	}
	c := Default()
	for key, value := range map[string]string{
		"mode": "monitor", "listen.socket_mode": "0660", "listen.tcp_table": `[{address: ":8462", map: m}]`, "dns.servers": "[::1]:54,unbound",
		"cache.file": "off", "cache.shared.url": "redis://a", "cache.shared.timeout": "1s", "refresh.idle": "1h", "log.format": "json",
		"overrides": `{.x.example: {answer: encrypt, until: 2026-12-01}}`,
	} {
		if err := c.Set(key, value); err != nil {
			t.Fatal(err)
		}
	}
	const want = `mode: monitor
listen:
  tcp_table: [{address: ":8462", map: m}]
  socket_mode: "0660"
overrides: {".x.example": {answer: encrypt, until: 2026-12-01}}
dns:
  servers: ["[::1]:54", "unbound:53"]
cache:
  file: off
  shared:
    url: "redis://a"
    timeout: 1s
refresh:
  idle: 1h
log:
  format: json
`
	text := c.Text()
	if d := cmp.Diff(want, text); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	again, err := Parse("f", []byte(text), nil)
	if d := diff(c, again); err != nil || d != "" {
		t.Errorf("%v (-written +read):\n%s", err, d)
	}
	if err := c.Set("dns", "x"); err == nil || err.Error() != "dns: unknown key" {
		t.Errorf("a section: %v", err)
	}
}
