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
			About: "Where policies are kept. Empty: policies.db in systemd's state directory, else in the\n" +
				"user's; off: memory alone, so that a restart forgets them.",
		},
		{
			Name: "listen.socketmap", Values: "a list of host:port or unix:/path",
			Default: `["127.0.0.1:8461"]`, Restart: true, About: "Addresses that speak socketmap_table(5).",
		},
		{
			Name: "cache.entries", Values: "1 to 10000000", Default: "100000",
			About: "Domains with a policy in memory. The file holds all policies.",
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
		"maps":                 {"MAP: {tlsrpt: true or false}", "{tlsrpt: {tlsrpt: true}}"},
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
