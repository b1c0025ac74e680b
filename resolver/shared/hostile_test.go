package shared

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Anything else under a domain's key counts as unknown, does not prevent other domains
// from being read, and is replaced by a policy.
func TestForeignValues(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, program []string) {
		t.Parallel()
		s := start(t, program)
		n := join(t, s.url(), withKey(string(key)))
		d, other, e := domain(t, "example.com"), domain(t, "example.org"), fetched(t, "1", time.Minute)
		n.Put(other, e)
		n.settle(t)
		theirs := e
		theirs.Fetched = time.Now().Add(time.Hour)
		for name, value := range map[string]string{
			"text":           "what is this",
			"large":          strings.Repeat("x", 4<<20),
			"without MAC":    codec{}.encode("example.com", Value{Entry: &e}),
			"of another":     codec{key}.encode("example.org", Value{Entry: &e}),
			"time to come":   codec{key}.encode("example.com", Value{Entry: &theirs}),
			"a schema of 99": strings.Replace(codec{key}.encode("example.com", Value{Entry: &e}), " 1 ", " 99 ", 1),
		} {
			s.do(t, "SET", "mta-sts:example.com", value)
			n.foreign(t, name, other)
		}
		for name, command := range map[string][]any{
			"list":   {"LPUSH", "mta-sts:example.com", "x"},
			"hash":   {"HSET", "mta-sts:example.com", "x", "y"},
			"stream": {"XADD", "mta-sts:example.com", "*", "x", "y"},
		} {
			s.do(t, "DEL", "mta-sts:example.com")
			s.do(t, command...)
			n.foreign(t, name, other)
			n.Put(d, e)
			n.settle(t)
			if n.Get(t.Context(), d).Entry == nil {
				t.Errorf("%s: is not replaced by a policy", name)
			}
		}
		if n.log.String() != "" {
			t.Errorf("logged:\n%s", n.log)
		}
	})
}

// foreign checks that n knows nothing of example.com, and still knows other.
func (n *node) foreign(t *testing.T, name string, other interface{ String() string }) {
	t.Helper()
	if v := n.Get(t.Context(), domain(t, "example.com")); !cmp.Equal(v, Value{}) {
		t.Errorf("%s: Get = %+v", name, v)
	}
	if v := n.Get(t.Context(), domain(t, other.String())); v.Entry == nil {
		t.Errorf("%s: another domain is unknown", name)
	}
}

// Messages that no node has written are ignored, and valid ones still arrive.
func TestForeignMessages(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, program []string) {
		t.Parallel()
		s := start(t, program)
		n := join(t, s.url(), withKey(string(key)))
		s.listening(t, 1)
		d, e := domain(t, "example.com"), fetched(t, "1", time.Minute)
		good := codec{key}.encode("example.com", Value{Entry: &e})
		ended := fetched(t, "1", 25*time.Hour)
		for _, payload := range map[string]string{
			"nothing":            "",
			"text":               "what is this",
			"no domain":          "..\n" + good,
			"a name not as ours": "EXAMPLE.com\n" + good,
			"of another domain":  "example.org\n" + good,
			"without MAC":        "example.com\n" + codec{}.encode("example.com", Value{Entry: &e}),
			"a policy for all":   "*\n" + codec{key}.encode("*", Value{Entry: &e}),
			"purge without MAC":  "*\n" + codec{}.encode("*", Value{Purged: time.Now()}),
			"a policy ended":     "example.com\n" + codec{key}.encode("example.com", Value{Entry: &ended}),
			"larger than bounds": strings.Repeat("x", 4<<20),
		} {
			s.do(t, "PUBLISH", "mta-sts:changes", payload)
		}
		eventually(t, "the valid message is received", func() bool {
			s.do(t, "PUBLISH", "mta-sts:changes", "example.com\n"+good)
			return n.received(func(c Change) bool { return c.Domain == d })
		})
		if n.received(func(c Change) bool { return c.Domain != d || c.Value.Entry == nil }) {
			t.Errorf("received %+v", n.changes)
		}
	})
}

// A server that sends something else than replies, or announces a reply without
// bounds, counts as down. The log line about it is printable and has no password.
func TestForeignServer(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"web server":        "HTTP/1.1 400 Bad Request\r\n\r\n",
		"endless string":    "$9223372036854775807\r\n",
		"endless array":     "*2147483647\r\n",
		"controls":          "-ERR \x1b[2J\xff what\r\n",
		"nothing but lines": "\r\n\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := join(t, "redis://:secret@"+answering(t, answer))
			eventually(t, "there is a warning", func() bool {
				n.Get(t.Context(), domain(t, "example.com"))
				return n.log.count(warning) == 1
			})
			for _, c := range n.log.String() {
				if c != '\n' && (c < ' ' || c > '~') {
					t.Fatalf("the log has %q", n.log)
				}
			}
			if n.log.count("secret") > 0 {
				t.Errorf("the log has the password: %s", n.log)
			}
		})
	}
}

// answering returns the address of a server that sends the same answer to everything.
func answering(t *testing.T, answer string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				for b := make([]byte, 4096); ; {
					if _, err := conn.Read(b); err != nil {
						return
					}
					fmt.Fprint(conn, answer)
				}
			}()
		}
	}()
	return l.Addr().String()
}
