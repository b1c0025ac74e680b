package config

import (
	"strings"
	"testing"
)

// What is accepted can be written and read back, parsing is deterministic, and a message is one
// line of printable ASCII for each error, whatever the file holds.
func FuzzParse(f *testing.F) {
	f.Add("mode: enforce\nlisten: {socketmap: [\"127.0.0.1:8461\"], socket_mode: \"0666\"}\ndns: {servers: [192.0.2.1], timeout: 5s}\nfetch: {proxy: \"http://proxy.example:3128\", allow_networks: [10.0.0.0/8]}\n")
	f.Add("mode: [\n")
	f.Add("a: &a [*a]\n")
	f.Add("overrides: {x.example: 'fingerprint match=a|b'}\n")
	f.Add("listen: {tcp_table: [{address: 'unix:/t', map: tlsrpt}]}\n")
	f.Add("? |\n  b\u00fccher\n: \"\\u2028\\n\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse("f", []byte(text), nil)
		again, errAgain := Parse("f", []byte(text), nil)
		if err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				if !strings.HasPrefix(line, "f:") || !all(line, func(c byte) bool { return c == ' ' || isGraphic(c) }) {
					t.Errorf("message %q", line)
				}
			}
			if errAgain == nil || errAgain.Error() != err.Error() {
				t.Errorf("first %v, then %v", err, errAgain)
			}
			return
		}
		readBack(t, c)
		if d := diff(c, again); errAgain != nil || d != "" {
			t.Errorf("then %v (-first +then):\n%s", errAgain, d)
		}
	})
}

// readBack fails the test if c, written as a file, is not read as c again.
func readBack(t *testing.T, c Config) {
	t.Helper()
	text := c.Text()
	again, err := Parse("f", []byte(text), nil)
	if d := diff(c, again); err != nil || d != "" {
		t.Errorf("%s\nis read back with %v (-before +after):\n%s", text, err, d)
	}
}
