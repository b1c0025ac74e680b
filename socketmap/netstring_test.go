package socketmap

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestNetstring(t *testing.T) {
	good := func(in, payload string, n int) {
		t.Helper()
		got, gotN, err := netstring(in, MaxRequest)
		if err != nil || got != payload || gotN != n {
			t.Errorf("netstring(%.40q) = %.40q, %d, %v; want %.40q, %d", in, got, gotN, err, payload, n)
		}
	}
	more := func(in string) { // not all of it has arrived
		t.Helper()
		good(in, "", 0)
	}
	bad := func(in string) {
		t.Helper()
		_, _, err := netstring(in, MaxRequest)
		var malformed *ProtocolError
		if !errors.As(err, &malformed) {
			t.Errorf("netstring(%.40q): %v, want a ProtocolError", in, err)
		}
	}
	longest := strings.Repeat("x", MaxRequest)

	good("0:,", "", 3)
	good("5:hello,", "hello", 8)
	good("5:hello,5:world,", "hello", 8)
	good("3:,:,,", ",:,", 6)
	good("10000:"+longest+",", longest, MaxRequest+7)

	more("")
	more("5")
	more("10000")
	more("5:")
	more("5:hell")
	more("5:hello")
	more("10000:" + longest)

	bad(":,")          // no length
	bad("x")           // no netstring at all
	bad("-1:,")        // no sign
	bad("+5:hello,")   // none either
	bad(" 5:hello,")   // no blank
	bad("5 :hello,")   // nor here
	bad("05:hello,")   // no leading zero
	bad("00:,")        // even for nothing
	bad("5:hello;")    // no comma
	bad("5:hello\n")   // a text client
	bad("10001:")      // over the limit, known before the payload comes
	bad("99999999999") // must not overflow
	bad("9999999999999999999999999")
	bad("GET / HTTP/1.1\r\n")
}

func TestParseRequest(t *testing.T) {
	good := func(in, name, key string) {
		t.Helper()
		var req Request
		if err := Netstrings().parse(in, &req); err != nil || req.Map != name || req.Key != key {
			t.Errorf("netstrings{}.parse(%q): %q, %q, %v; want %q, %q", in, req.Map, req.Key, err, name, key)
		}
	}
	good("postfix example.com", "postfix", "example.com")
	good("postfix ", "postfix", "")
	good(" example.com", "", "example.com")
	good("postfix a b", "postfix", "a b")
	for _, in := range []string{"", "postfix", "postfix\texample.com"} {
		if err := Netstrings().parse(in, new(Request)); err == nil {
			t.Errorf("netstrings{}.parse(%q) succeeded", in)
		}
	}
}

func TestReplies(t *testing.T) {
	for _, tc := range []struct {
		reply Reply
		wire  string
	}{
		{Reply{OK, []byte("secure match=mx.example")}, "26:OK secure match=mx.example,"},
		{Reply{OK, nil}, "3:OK ,"},
		{Reply{NotFound, nil}, "9:NOTFOUND ,"},
		{Reply{Temp, []byte("later")}, "10:TEMP later,"},
		{Reply{Perm, []byte("never")}, "10:PERM never,"},
	} {
		wire := Netstrings().appendReply(nil, tc.reply)
		if string(wire) != tc.wire {
			t.Errorf("appendReply(%v) = %q, want %q", tc.reply, wire, tc.wire)
		}
		payload, _, err := netstring(wire, maxReply)
		if err != nil {
			t.Fatal(err)
		}
		back, err := parseReply(payload)
		if err != nil || back.Status != tc.reply.Status || !bytes.Equal(back.Data, tc.reply.Data) {
			t.Errorf("parseReply(%q) = %v, %v", payload, back, err)
		}
	}
	for _, bad := range []string{"", "OK", "NOTFOUND", "ok x", "MAYBE x"} {
		if _, err := parseReply([]byte(bad)); err == nil {
			t.Errorf("parseReply(%q) succeeded", bad)
		}
	}
	for status := OK; status <= Perm; status++ {
		if n := len(Netstrings().appendReply(nil, Reply{status, make([]byte, maxData)})); n > maxReply {
			t.Errorf("the longest reply %s has %d bytes, Postfix reads %d", status, n, maxReply)
		}
	}
}

// Property: an accepted request formats to the same bytes, in whatever pieces it
// arrives.
func FuzzNetstring(f *testing.F) {
	for _, seed := range []string{"", "0:,", "5:hello,", "19:postfix example.com,rest", "05:hello,", "5:hello", "99999:", "-1:,"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		payload, n, err := netstring(in, MaxRequest)
		if n == 0 || err != nil {
			return
		}
		if len(payload) > MaxRequest {
			t.Fatalf("%d bytes accepted", len(payload))
		}
		for i := range n {
			if _, early, err := netstring(in[:i], MaxRequest); early != 0 || err != nil {
				t.Fatalf("the first %d of %d bytes: %d, %v", i, n, early, err)
			}
		}
		var req Request
		if (netstrings{}).parse(string(payload), &req) != nil {
			return
		}
		if wire := appendRequest(nil, req.Map, req.Key); !bytes.Equal(wire, in[:n]) {
			t.Fatalf("%q formats to %q", in[:n], wire)
		}
	})
}
