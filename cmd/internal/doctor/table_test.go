package doctor

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
		want  []table
	}{
		{"", nil},
		{" , ", nil},
		{"socketmap:inet:127.0.0.1:8461:postfix", []table{{kind: "socketmap", name: "postfix", server: tcp("127.0.0.1:8461")}}},
		{"socketmap:inet:[::1]:8461:QUERY", []table{{kind: "socketmap", name: "QUERY", server: tcp("[::1]:8461")}}},
		{"socketmap:unix:/a/b:c", []table{{kind: "socketmap", name: "c", server: unix("/a/b")}}},
		{"proxy:tcp:h:1", []table{{proxied: true, kind: "tcp", name: "h:1", server: tcp("h:1")}}},
		{"hash:a,static:b inline:{ c, d }", []table{{kind: "hash", name: "a"}, {kind: "static", name: "b"}, {kind: "inline", name: "{ c, d }"}}},
		{"socketmap:inet:h:1", []table{{kind: "socketmap", name: "1", server: tcp("h"), malformed: true}}},
		{"socketmap:inet:h:1:", []table{{kind: "socketmap", server: tcp("h:1"), malformed: true}}},
		{"socketmap:h:1:x", []table{{kind: "socketmap", name: "x", malformed: true}}},
		{"socketmap:unix::x", []table{{kind: "socketmap", name: "x", server: unix(""), malformed: true}}},
		{"socketmap:x", []table{{kind: "socketmap", name: "x", malformed: true}}},
		{"tcp:h", []table{{kind: "tcp", name: "h", server: tcp("h"), malformed: true}}},
		{"x", []table{{malformed: true}}},
	} {
		got := parseTables(tt.value)
		for i := range got {
			got[i].text = ""
		}
		if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(table{})); diff != "" {
			t.Errorf("%q (-want +got)\n%s", tt.value, diff)
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
		if got := sameAddress(config.Address{Network: config.TCP, Address: tt.listens}, config.Address{Network: config.TCP, Address: tt.asked}); got != tt.want {
			t.Errorf("%s gets to a listener at %s: %v", tt.asked, tt.listens, got)
		}
	}
	path := config.Address{Network: config.Unix, Address: "/sock"}
	if !sameAddress(path, path) || sameAddress(path, config.Address{Network: config.Unix, Address: "/other"}) ||
		sameAddress(path, config.Address{Network: config.TCP, Address: "/sock"}) {
		t.Error("paths of sockets do not compare")
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text   string
		want   version
		before bool
	}{
		{"2.11.3", version{2, 11}, true},
		{"3.9.4", version{3, 9}, true},
		{"3.10.0", version{3, 10}, false},
		{"3.10-20240101", version{3, 10}, false},
		{"4.0", version{4, 0}, false},
	} {
		got, ok := parseVersion(tt.text)
		if !ok || got != tt.want || got.before(reportingSince) != tt.before {
			t.Errorf("%s: got %v, %v", tt.text, got, ok)
		}
	}
	for _, text := range []string{"", "3", "3.x", "x.3"} {
		if got, ok := parseVersion(text); ok {
			t.Errorf("%q is version %v", text, got)
		}
	}
}
