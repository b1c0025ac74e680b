package peers_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mta-sts-daemon/e2e/internal/peers"
)

func TestRead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, wantErr string }{
		{"- {name: a, command: [x, '{dir}/y'], tcp: '127.0.0.1:1', map: m}", ""},
		{"- {command: [x]}", "needs a name and a command"},
		{"- {name: a}", "needs a name and a command"},
		{"- {name: a, comand: [x]}", "comand not found"},
	} {
		path := filepath.Join(t.TempDir(), "peers.yaml")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		read, err := peers.Read(path)
		if c.wantErr != "" {
			if err == nil || !strings.Contains(err.Error(), c.wantErr) {
				t.Errorf("%s: got %v, want %s", c.text, err, c.wantErr)
			}
			continue
		}
		if err != nil || len(read) != 1 || read[0].In("/d").Command[1] != "/d/y" {
			t.Errorf("%s: got %+v, %v", c.text, read, err)
		}
	}
}
