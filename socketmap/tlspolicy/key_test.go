package tlspolicy

import (
	"strings"
	"testing"

	"mta-sts-daemon/resolver"
)

func TestParseKey(t *testing.T) {
	good := func(key, domain string, mx bool, port uint16) {
		t.Helper()
		hop, ok := ParseKey(key)
		if !ok || hop.Domain.String() != domain || hop.MX != mx || hop.Port != port {
			t.Errorf("ParseKey(%q) = %v, %v; want %s, %v, %d", key, hop, ok, domain, mx, port)
		}
	}
	bad := func(key string) {
		t.Helper()
		if hop, ok := ParseKey(key); ok || hop != (resolver.NextHop{}) {
			t.Errorf("ParseKey(%q) = %v, %v; want nothing", key, hop, ok)
		}
	}
	long := strings.Repeat("a.", 126) + "b" // 253 bytes

	good("example.com", "example.com", true, 25)
	good("EXAMPLE.com.", "example.com", true, 25)
	good("example.com:25", "example.com", true, 25)
	good("example.com.:25", "example.com", true, 25)
	good("example.com:2525", "example.com", true, 2525)
	good("example.com:smtp", "example.com", true, 25)
	good("example.com:submission", "example.com", true, 587)
	good("example.com:submissions", "example.com", true, 465)
	good("example.com:smtps", "example.com", true, 465)
	good("example.com:lmtp", "example.com", true, 24)
	good("example.com:mailsrv", "example.com", true, 0) // the other host's services(5) may have this name
	good("example.com:+25", "example.com", true, 0)
	good("example.com:-", "example.com", true, 0)
	good("example.com:25a", "example.com", true, 0)
	good("example.com:1", "example.com", true, 1)
	good("example.com:0025", "example.com", true, 25)
	good("example.com:65535", "example.com", true, 65535)
	good("[mx.example.com]", "mx.example.com", false, 25)
	good("[mx.example.com]:587", "mx.example.com", false, 587)
	good("[MX.example.com.]:submission", "mx.example.com", false, 587)
	good("bücher.example", "xn--bcher-kva.example", true, 25)
	good("BÜCHER.example", "xn--bcher-kva.example", true, 25)
	good("faß.example", "xn--fa-hia.example", true, 25) // non-transitional
	good("[bücher.example]:25", "xn--bcher-kva.example", false, 25)
	good("xn--bcher-kva.example", "xn--bcher-kva.example", true, 25)
	good(long, long, true, 25)

	bad("example.com:0") // not a port number
	bad("example.com:-25")
	bad("example.com:65536")
	bad("example.com:99999999999999999999")
	bad("example.com:-99999999999999999999")
	bad("[mx.example.com]:0")
	bad("[mx.example.com]:65536")
	bad("")
	bad(".")
	bad(".example.com") // Postfix's search for parents
	bad(".com")
	bad("localhost")
	bad("com:25")
	bad("192.0.2.1")
	bad("[192.0.2.1]")
	bad("[192.0.2.1]:25")
	bad("192.0.2.1:25")
	bad("[IPv6:2001:db8::1]")
	bad("[2001:db8::1]:25")
	bad("2001:db8::1")
	bad("[example.com")
	bad("example.com]")
	bad("[example.com]25")
	bad("[example.com]x:25")
	bad("[[example.com]]")
	bad("[]")
	bad("[]:25")
	bad(":25")
	bad("user@example.com")
	bad("*")
	bad("_dmarc.example.com")
	bad("exa mple.com")
	bad("example.com\n")
	bad("example\x00.com")
	bad("b\xfccher.example") // no UTF-8
	bad("a" + long)
	bad(strings.Repeat("a", 10_000))
}

// Whatever Postfix asks, in whatever spelling, one domain is one domain.
func FuzzParseKey(f *testing.F) {
	for _, seed := range []string{"example.com", "EXAMPLE.com.:25", "[mx.example.com]:587", "bücher.example",
		".example.com", "[192.0.2.1]", "2001:db8::1", "[a.b", "a.b]:c"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, key []byte) {
		hop, ok := ParseKey(string(key))
		if !ok {
			return
		}
		canonical := hop.Domain.String()
		if !hop.MX {
			canonical = "[" + canonical + "]"
		}
		again, ok := ParseKey(canonical)
		if !ok || again.Domain != hop.Domain || again.MX != hop.MX {
			t.Fatalf("%q is %v, whose %q is %v, %v", key, hop, canonical, again, ok)
		}
	})
}
