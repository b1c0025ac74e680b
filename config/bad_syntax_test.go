package config

import "testing"

// A badFile is a file that is refused with exactly this message.
type badFile struct{ text, want string }

func testBad(t *testing.T, files []badFile) {
	t.Helper()
	for _, f := range files {
		_, err := Parse("f", []byte(f.text), nil)
		if err == nil {
			t.Errorf("%q accepted, want %s", f.text, f.want)
		} else if got := err.Error(); got != f.want {
			t.Errorf("%q:\n got %s\nwant %s", f.text, got, f.want)
		}
	}
}

// TestBadSyntax tests errors of YAML itself, and errors of keys that do not
// depend on their values.
func TestBadSyntax(t *testing.T) {
	t.Parallel()
	testBad(t, []badFile{
		{"listen:\n  socketmap: [\"a:1\"\n  tcp_table: []\nmode: enforce\n", "f:2: not YAML: did not find expected ',' or ']'"},
		{"mode: enforce\ndns:\n\ttimeout: 5s\n", "f:3: indented with a tab; YAML wants spaces"},
		{"mode: \"enforce\n\nlog: {level: info}\n", "f:1: not YAML: found unexpected end of stream"},
		{"dns:\n    timeout: 5s\n  dane: off\n", "f:3: not YAML: did not find expected key"},
		{"mode: enforce: monitor\n", "f:1: not YAML: mapping values are not allowed in this context"},
		{"mode: @enforce\n", "f:1: not YAML: found character that cannot start any token"},
		{"mode: ]\n", "f:1: not YAML: did not find expected node content"},
		{"mode: *m\n", "f:1: not YAML: unknown anchor 'm' referenced"},
		{"mode\nlog: {level: info}\n", "f:2: not YAML: mapping values are not allowed in this context"},
		{"mode: enforce\n---\nmode: monitor\n", "f:2: a second YAML document; only one is allowed"},
		{"mode: enforce\n...\nmonitor\n", "f:3: not YAML: did not find expected <document start>"},
		{"mode: &m enforce\ntesting: *m\n", "f:1: YAML anchors (&name) are not supported; write the value out\nf:2: YAML aliases (*name) are not supported; write the value out"},
		{"log: &l {level: info}\nmetrics: {<<: *l}\n", "f:1: YAML anchors (&name) are not supported; write the value out\nf:2: YAML merge keys (<<) are not supported; write the value out\nf:2: YAML aliases (*name) are not supported; write the value out"},
		{"log: {<<: {level: info}}\n", "f:1: YAML merge keys (<<) are not supported; write the value out"},
		{"mode: !!str enforce\n", "f:1: YAML tags (!name) are not supported; write the value out"},
		{"mode: enforce\n# \x00\n", "f:2: control character U+0000"},
		{"mode: enforce\n# \xff\n", "f:2: not UTF-8"},
		{"- mode\n", "f:1: a list, but keys with values are wanted"},
		{"enforce\n", `f:1: "enforce", but keys with values are wanted`},
		{"null\n", "f:1: nothing, but keys with values are wanted"},
		{"[mode]: enforce\n", "f:1: a list where a key is wanted"},
		{"~: enforce\n", "f:1: nothing where a key is wanted"},
		{"1: enforce\n", "f:1: 1: unknown key"},
		{"mod: enforce\n", "f:1: mod: unknown key; did you mean mode?"},
		{"DNS: {}\n", "f:1: DNS: unknown key; did you mean dns?"},
		{"answerTimeout: 8s\n", "f:1: answerTimeout: unknown key; did you mean answer_timeout?"},
		{"dns:\n  timeouts: 5s\n", "f:2: dns.timeouts: unknown key; did you mean dns.timeout?"},
		{"log: {levle: info}\n", "f:1: log.levle: unknown key; did you mean log.level?"},
		{"dns: {nameservers: []}\n", "f:1: dns.nameservers: unknown key"},
		{"timeout: 5s\n", "f:1: timeout: unknown key"},
		{"bücher: 1\n", `f:1: "b\u00fccher": unknown key`},
		{"\"a b\": 1\n", `f:1: "a b": unknown key`},
		{"\"\": 1\n", `f:1: "": unknown key`},
		{"maps: {m: {tlsrtp: true}}\n", "f:1: maps.m.tlsrtp: unknown key; did you mean maps.m.tlsrpt?"},
		{"mode: enforce\nlog: {level: info}\nmode: enforce\n", "f:3: mode: given twice, first on line 1"},
		{"dns:\n  timeout: 5s\n  timeout: 5s\n", "f:3: dns.timeout: given twice, first on line 2"},
		{"dns:\n", "f:1: dns: no value; leave the key out to have its default"},
		{"mode: ~\n", "f:1: mode: no value; leave the key out to have its default"},
		{"dns: {servers: [null]}\n", "f:1: dns.servers: no value; leave the key out to have its default"},
		{"mode: monitr\nlog: {level: loud}\ndns: {timeout: 5}\n", "f:1: mode: \"monitr\" is not one of enforce, monitor\nf:2: log.level: \"loud\" is not one of debug, info, notice, warning, error\nf:3: dns.timeout: \"5\" has no unit; write 5s, 5m or 5h"},
		{"? mode\n: enforced\n", `f:2: mode: "enforced" is not one of enforce, monitor`},
	})
}
