package config

import "testing"

// The documented example, which spells out every default.
const example = `
mode: enforce                 # or monitor
answer_timeout: 8s
listen:
  socketmap: ["127.0.0.1:8461"]     # host:port or unix:/path; replaced by sockets that systemd passes (names below)
  tcp_table: []                     # ["127.0.0.1:8462"], or {address: ..., map: tlsrpt}
  socket_mode: "0666"
  socket_group: ""
  max_connections: 2000
  idle_timeout: 120s
maps:                         # socketmap NAME: how to answer
  tlsrpt: {tlsrpt: true}
testing: ignore               # or enforce
overrides:                    # before anything else; .example.com covers the subdomains of example.com
  partner.example: "secure match=mx.partner.example servername=hostname"
  broken.example: notfound
dns:
  servers: []                 # IP or IP:port; empty: /etc/resolv.conf, followed as it changes; all are used, with failover; UDP, then TCP when truncated
  timeout: 5s
  dane: auto                  # auto: where this host's Postfix does DANE; always; off
fetch:
  timeout: 60s
  ca_file: ""                 # in place of the system's roots
  proxy: ""                   # http://host:port, CONNECT
  allow_networks: []
cache:
  file: ""                    # empty: $STATE_DIRECTORY/policies.db, else the user's state directory; "off": memory alone
  entries: 100000             # policies in memory; the file holds all
  negative_entries: 200000
refresh: {interval: 24h, idle: 336h, concurrency: 16}
recheck_wait: 500ms
admin: {socket: ""}           # empty: $RUNTIME_DIRECTORY/admin.sock, else the user's runtime directory
metrics: {listen: ""}         # 127.0.0.1:9461 or unix:/path: /metrics, /healthz, /readyz
log: {level: info, format: auto}   # auto: journald's native protocol under systemd, else text; json
`

func TestExampleIsDefault(t *testing.T) {
	t.Parallel()
	got, err := parse("f", []byte(example), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Overrides = map[OverrideKey]Override{
		{Domain: domain(t, "partner.example")}: {Policy: "secure match=mx.partner.example servername=hostname"},
		{Domain: domain(t, "broken.example")}:  {NotFound: true},
	}
	if d := diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
