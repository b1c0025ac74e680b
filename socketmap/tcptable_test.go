package socketmap

import (
	"bytes"
	"strings"
	"testing"
)

func TestTCPTableRequests(t *testing.T) {
	p := TCPTable("map")
	good := func(in, key string, n int) {
		t.Helper()
		text, gotN, err := p.next(in)
		if err != nil || gotN != n {
			t.Errorf("next(%.40q) = %d, %v; want %d", in, gotN, err, n)
			return
		}
		var req Request
		if err := p.parse(text, &req); err != nil || req.Key != key || req.Map != "map" {
			t.Errorf("%.40q: %q %q, want key %q", in, req.Map, req.Key, key)
		}
	}
	bad := func(in string, want error) {
		t.Helper()
		text, n, err := p.next(in)
		if err != nil || n != len(in) {
			t.Errorf("next(%q) = %d, %v", in, n, err)
		}
		if err := p.parse(text, new(Request)); err != want {
			t.Errorf("parse(%q) = %v, want %v", in, err, want)
		}
	}
	good("get example.com\n", "example.com", 16)
	good("get example.com\nget b", "example.com", 16)
	good("get %65xample%2Ecom\n", "example.com", 20)
	good("get %2e%2E%0a%25\n", "..\n%", 17)
	good("get b%C3%BCcher.example\n", "bücher.example", 24)
	good("get \n", "", 5)
	good("get example.com\r\n", "example.com", 17)
	good("get example.com\r\nget b", "example.com", 17)
	good("get a%0D\r\n", "a\r", 10)
	good("get a\r\r\n", "a\r", 8) // one belongs to the line's end
	good("get \r\n", "", 6)
	good("get a b\n", "a b", 8)
	good("get "+strings.Repeat("k", MaxRequest-4)+"\n", strings.Repeat("k", MaxRequest-4), MaxRequest+1)

	bad("\n", errNoGet)
	bad("\r\n", errNoGet)
	bad("get\r\n", errNoGet)
	bad("get\n", errNoGet)
	bad("GET example.com\n", errNoGet)
	bad("put example.com x\n", errNoGet)
	bad("get %\n", errHex)
	bad("get %4\n", errHex)
	bad("get %zz\n", errHex)
	bad("get %4g\n", errHex)

	for _, incomplete := range []string{"", "g", "get example.com", "get example.com\r", "get " + strings.Repeat("k", MaxRequest-4)} {
		if _, n, err := p.next(incomplete); n != 0 || err != nil {
			t.Errorf("next(%.40q) = %d, %v; want more", incomplete, n, err)
		}
	}
	for _, long := range []string{strings.Repeat("k", MaxRequest+1), strings.Repeat("k", MaxRequest+1) + "\n"} {
		if _, _, err := p.next(long); err == nil {
			t.Errorf("%d bytes were not refused", len(long))
		}
	}
}

func TestTCPTableReplies(t *testing.T) {
	p := TCPTable("")
	for _, tc := range []struct {
		reply Reply
		want  string
	}{
		{Reply{OK, []byte("secure match=a.b")}, "200 secure%20match=a.b\n"},
		{Reply{OK, []byte("50%\t\n\x00\x7f\xff~!")}, "200 50%25%09%0A%00%7F%FF~!\n"},
		{Reply{NotFound, nil}, "500 not%20found\n"},
		{Reply{NotFound, []byte("no policy")}, "500 no%20policy\n"},
		{Reply{Temp, []byte("later")}, "400 later\n"},
		{Reply{Perm, []byte("never")}, "400 never\n"},
		{Reply{OK, bytes.Repeat([]byte("x"), maxLine-5)}, "200 " + strings.Repeat("x", maxLine-5) + "\n"},
		{Reply{OK, bytes.Repeat([]byte("x"), maxLine-4)}, "400 the%20answer%20is%20longer%20than%20Postfix%20reads%20from%20a%20tcp_table,%20use%20a%20socketmap\n"},
		{Reply{OK, bytes.Repeat([]byte(" "), maxLine/3)}, "400 the%20answer%20is%20longer%20than%20Postfix%20reads%20from%20a%20tcp_table,%20use%20a%20socketmap\n"},
	} {
		if got := string(p.appendReply(nil, tc.reply)); got != tc.want {
			t.Errorf("%v %.20q: got %.100q, want %.100q", tc.reply.Status, tc.reply.Data, got, tc.want)
		}
	}
}

// Property: an accepted key, quoted again, is the same key, and a reply with any data
// is one line that Postfix can read.
func FuzzTCPTable(f *testing.F) {
	for _, seed := range []string{"get example.com\n", "get %65%2e\n", "get %\n", "put a b\n", "get \x00\xff\nget b\n", strings.Repeat("x", 5000) + "\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		p := TCPTable("map")
		line := p.appendReply(nil, Reply{OK, in})
		if len(line) > maxLine || bytes.IndexByte(line, '\n') != len(line)-1 || bytes.ContainsAny(line[4:len(line)-1], " \t\r") {
			t.Fatalf("reply %q", line)
		}
		text, n, err := p.next(string(in))
		if n == 0 || err != nil {
			return
		}
		var req, again Request
		if p.parse(text, &req) != nil {
			return
		}
		err = p.parse("get "+string(appendQuoted(nil, []byte(req.Key))), &again)
		if err != nil || again.Key != req.Key {
			t.Fatalf("%q is %q, which becomes %q, %v", in[:n], req.Key, again.Key, err)
		}
	})
}
