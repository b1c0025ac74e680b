package config

import (
	"strings"
	"testing"
)

// For each feature that some version lacked: files that ask for it, and files
// that ask for what a version without it does.
var featureFiles = map[string]struct{ asks, asksNot []string }{
	"mode":                {[]string{"mode: monitor"}, []string{"mode: enforce"}},
	"listen.socketmap":    {[]string{`listen: {socketmap: ["127.0.0.1:1", "unix:/s"]}`}, []string{`listen: {socketmap: ["127.0.0.1:1"]}`, "listen: {socketmap: []}"}},
	"listen.tcp_table":    {[]string{`listen: {tcp_table: ["127.0.0.1:1"]}`, `listen: {tcp_table: [{address: "127.0.0.1:1"}]}`}, []string{"listen: {tcp_table: []}"}},
	"listen.socket_mode":  {[]string{`listen: {socket_mode: "0666"}`}, nil},
	"listen.socket_group": {[]string{"listen: {socket_group: postfix}", `listen: {socket_group: ""}`}, nil},
	"testing":             {[]string{"testing: enforce"}, []string{"testing: ignore"}},
	"overrides":           {[]string{"overrides: {x.example: notfound}"}, []string{"overrides: {}"}},
	"dns.dane":            {[]string{"dns: {dane: auto}", "dns: {dane: always}"}, []string{"dns: {dane: off}"}},
	"cache.file":          {[]string{`cache: {file: ""}`, "cache: {file: /p.db}"}, []string{"cache: {file: off}"}},
	"refresh":             {[]string{"refresh: {interval: 24h}", "refresh: {}"}, nil},
	"admin.socket":        {[]string{"admin: {socket: /a.sock}"}, []string{`admin: {socket: ""}`}},
	"metrics.listen":      {[]string{`metrics: {listen: ":9461"}`}, []string{`metrics: {listen: ""}`}},
	"log.format":          {[]string{"log: {format: json}"}, []string{"log: {format: auto}", "log: {format: text}"}},
}

// A feature is refused by name as long as it stands in the table, and the line
// in the table is all that refuses it.
func TestUnavailable(t *testing.T) {
	t.Parallel()
	for key := range unavailable {
		if _, ok := featureFiles[key]; !ok {
			t.Errorf("%s has no files to test it", key)
		}
	}
	for key, files := range featureFiles {
		_, lacking := unavailable[key]
		for _, text := range files.asks {
			_, err := Parse("f", []byte(text))
			switch {
			case lacking && (err == nil || !strings.HasPrefix(err.Error(), "f:1: "+key+": not available in this version")):
				t.Errorf("%s: error %v, want %s not available", text, err, key)
			case !lacking && err != nil:
				t.Errorf("%s: %v", text, err)
			}
		}
		for _, text := range files.asksNot {
			if _, err := Parse("f", []byte(text)); err != nil {
				t.Errorf("%s: %v", text, err)
			}
		}
	}
}

func TestUnavailableMessage(t *testing.T) {
	t.Parallel()
	unavailable := map[string]exception{
		"mode":             only("enforce"),
		"listen.socketmap": allBut("unix:"),
		"listen.tcp_table": only("[]"),
		"log.format":       only("auto", "text"),
	}
	for text, want := range map[string]string{
		"mode: monitor": "f:1: mode: not available in this version, only enforce",
		"mode: other":   `f:1: mode: "other" is not one of enforce, monitor`,
		"listen:\n  socketmap:\n    - :1\n    - unix:/s\n": "f:4: listen.socketmap: not available in this version for unix:",
		`listen: {tcp_table: [":1", ":2"]}`:                "f:1: listen.tcp_table: not available in this version",
		"log: {format: json}":                              "f:1: log.format: not available in this version, only auto or text",
	} {
		_, err := parse("f", []byte(text), unavailable)
		if err == nil || err.Error() != want {
			t.Errorf("%q:\n got %v\nwant %s", text, err, want)
		}
	}
}
