package shared

import (
	"strings"
	"testing"
)

func TestParseKey(t *testing.T) {
	t.Parallel()
	good := strings.Repeat("k", minKeyLen)
	for _, text := range []string{good, good + "\n", "\r\n " + good + "\r\n"} {
		if key, err := ParseKey([]byte(text)); err != nil || string(key) != good {
			t.Errorf("%q: %q, %v", text, key, err)
		}
	}
	for _, text := range []string{"", "\n", good[1:] + "\n", good[1:] + " "} {
		if key, err := ParseKey([]byte(text)); err == nil {
			t.Errorf("%q: %q", text, key)
		}
	}
}
