package postconf

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"mta-sts-daemon/config"
)

func TestParseTables(t *testing.T) {
	t.Parallel()
	tcp := func(a string) config.Address { return config.Address{Network: config.TCP, Address: a} }
	unix := func(a string) config.Address { return config.Address{Network: config.Unix, Address: a} }
	for _, tt := range []struct {
		value string
		want  []Table
	}{
		{"", nil},
		{" , ", nil},
		{"socketmap:inet:127.0.0.1:8461:postfix", []Table{{Kind: "socketmap", Name: "postfix", Server: tcp("127.0.0.1:8461")}}},
		{"socketmap:inet:[::1]:8461:QUERY", []Table{{Kind: "socketmap", Name: "QUERY", Server: tcp("[::1]:8461")}}},
		{"socketmap:unix:/a/b:c", []Table{{Kind: "socketmap", Name: "c", Server: unix("/a/b")}}},
		{"proxy:tcp:h:1", []Table{{Direct: "tcp:h:1", Proxied: true, Kind: "tcp", Name: "h:1", Server: tcp("h:1")}}},
		{"hash:a,static:b inline:{ c, d }", []Table{{Kind: "hash", Name: "a"}, {Kind: "static", Name: "b"}, {Kind: "inline", Name: "{ c, d }"}}},
		{"socketmap:inet:h:1", []Table{{Kind: "socketmap", Name: "1", Server: tcp("h"), Malformed: true}}},
		{"socketmap:inet:h:1:", []Table{{Kind: "socketmap", Server: tcp("h:1"), Malformed: true}}},
		{"socketmap:h:1:x", []Table{{Kind: "socketmap", Name: "x", Malformed: true}}},
		{"socketmap:unix::x", []Table{{Kind: "socketmap", Name: "x", Server: unix(""), Malformed: true}}},
		{"socketmap:x", []Table{{Kind: "socketmap", Name: "x", Malformed: true}}},
		{"tcp:h", []Table{{Kind: "tcp", Name: "h", Server: tcp("h"), Malformed: true}}},
		{"x", []Table{{Malformed: true}}},
	} {
		got := ParseTables(tt.value)
		for i := range got {
			got[i].Text = ""
			if !got[i].Proxied {
				got[i].Direct = ""
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%q (-want +got)\n%s", tt.value, diff)
		}
	}
}

func TestFile(t *testing.T) {
	t.Parallel()
	redirected := map[string]string{"hash": "cdb", "btree": "lmdb"}
	for _, tt := range []struct {
		table      string
		redirected map[string]string
		want       string
	}{
		{"hash:/a", nil, "/a.db"},
		{"btree:/a", nil, "/a.db"},
		{"hash:/a", redirected, "/a.cdb"},
		{"proxy:btree:/a", redirected, "/a.lmdb"},
		{"lmdb:/a", redirected, "/a.lmdb"},
		{"texthash:/a", redirected, "/a"},
		{"inline:{a=b}", redirected, ""},
		{"regexp:/a", redirected, "/a"},
		{"regexp:{{/^mx/ may}}", redirected, ""},
		{"proxy:pcre:{ {/a/ may}, {/b/ none} }", nil, ""},
	} {
		if got := ParseTables(tt.table)[0].File(tt.redirected); got != tt.want {
			t.Errorf("%s, %q: got %s", tt.table, tt.redirected, got)
		}
	}
}

func TestSameAddress(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		listens, asked string
		want           bool
	}{
		{"127.0.0.1:8461", "127.0.0.1:8461", true},
		{"127.0.0.1:8461", "LOCALHOST:8461", true},
		{"localhost:8461", "[::1]:8461", true},
		{":8461", "10.1.2.3:8461", true},
		{"0.0.0.0:8461", "127.0.0.1:8461", true},
		{"[::]:8461", "mail.test:8461", true},
		{"127.0.0.1:8461", "127.0.0.1:8462", false},
		{"127.0.0.1:8461", "127.0.0.2:8461", false},
		{"127.0.0.1:8461", "10.1.2.3:8461", false},
		{"127.0.0.1:8461", "8461", false},
	} {
		if got := SameAddress(config.Address{Network: config.TCP, Address: tt.listens}, config.Address{Network: config.TCP, Address: tt.asked}); got != tt.want {
			t.Errorf("%s reaches a listener at %s: %v", tt.asked, tt.listens, got)
		}
	}
	path := config.Address{Network: config.Unix, Address: "/sock"}
	if !SameAddress(path, path) || SameAddress(path, config.Address{Network: config.Unix, Address: "/other"}) ||
		SameAddress(path, config.Address{Network: config.TCP, Address: "/sock"}) {
		t.Error("paths of sockets do not compare")
	}
}
