package mtasts_test

import (
	"strings"
	"testing"

	"mta-sts-daemon/resolver/mtasts"
)

// Reasons why no domain is made of a name.
const (
	notHost     = "is not a host name"
	singleLabel = "is a single label"
	address     = "is an IP address or ends like one"
)

func TestParseDomain(t *testing.T) {
	t.Parallel()
	good := func(in, want string) {
		t.Helper()
		got, err := mtasts.ParseDomain(in)
		if err != nil || got.String() != want {
			t.Errorf("ParseDomain(%+q) = %q, %v; want %q", in, got, err, want)
		}
	}
	bad := func(in, why string) {
		t.Helper()
		got, err := mtasts.ParseDomain(in)
		if err == nil {
			t.Errorf("ParseDomain(%+q) = %q, want an error", in, got)
			return
		}
		if !got.IsZero() {
			t.Errorf("ParseDomain(%+q) = %q beside an error", in, got)
		}
		checkSyntaxError(t, err, "domain", 0)
		if !strings.HasSuffix(err.Error(), why) {
			t.Errorf("ParseDomain(%+q): %v; want ... %s", in, err, why)
		}
	}

	label63 := strings.Repeat("a", 63)
	label61 := strings.Repeat("b", 61)
	host253 := strings.Join([]string{label63, label63, label63, label61}, ".")

	good("example.com", "example.com")
	good("EXAMPLE.com", "example.com")
	good("Mx.Example.COM.", "mx.example.com")
	good("a.b", "a.b")
	good("a-b.c--d.example", "a-b.c--d.example") // hyphens at 3 and 4: only IDNA forbids them
	good("r3---sn.example", "r3---sn.example")
	good("1.example", "1.example")
	good("4ever.example", "4ever.example")
	good("1.2.3.com", "1.2.3.com")
	good("192.0.2.1.in-addr.arpa", "192.0.2.1.in-addr.arpa")
	good("example.c0m", "example.c0m")
	good("example.0x7f", "example.0x7f") // no dotted quad
	good("mta-sts.example.com", "mta-sts.example.com")
	good(host253, host253)
	good(host253+".", host253) // the root dot does not count
	good(label63+".example", label63+".example")

	// A-labels are names like any other and are not looked into.
	good("xn--bcher-kva.example", "xn--bcher-kva.example")
	good("XN--BCHER-KVA.example", "xn--bcher-kva.example")
	good("xn--a.example", "xn--a.example")
	good("example.xn--p1ai", "example.xn--p1ai")

	// U-labels: UTS 46, non-transitional.
	good("bücher.example", "xn--bcher-kva.example")
	good("bu\u0308cher.example", "xn--bcher-kva.example") // not yet NFC
	good("BÜCHER.Example.", "xn--bcher-kva.example")
	good("faß.example", "xn--fa-hia.example")     // transitional: fass.example
	good("βόλος.example", "xn--nxasmm1c.example") // final sigma kept
	good("münchen.xn--bcher-kva", "xn--mnchen-3ya.xn--bcher-kva")
	good("почта.рф", "xn--80a1acny.xn--p1ai")
	good("例え。テスト", "xn--r8jz45g.xn--zckzah") // U+3002
	good("例え.テスト。", "xn--r8jz45g.xn--zckzah")
	good("example。com", "example.com")
	good("example．com", "example.com") // U+FF0E
	good("example｡com", "example.com") // U+FF61
	good("ｅｘａｍｐｌｅ.com", "example.com")
	good("ex\u00adample.com", "example.com") // soft hyphens vanish
	good(strings.Repeat("\u00ad", 400)+"bücher.example", "xn--bcher-kva.example")
	good("\u212a.example", "k.example") // KELVIN SIGN

	bad("", notHost)
	bad(".", notHost)
	bad("..", notHost)
	bad(".example.com", notHost) // Postfix's search for a parent
	bad(".com", notHost)
	bad("example..com", notHost)
	bad("example.com..", notHost)
	bad("*.example.com", notHost)
	bad("_mta-sts.example.com", notHost)
	bad("mx_1.example.com", notHost)
	bad("-a.example", notHost)
	bad("a-.example", notHost)
	bad("-.example", notHost)
	bad("example.-com", notHost)
	bad("example.com-", notHost)
	bad("example.com-.", notHost)
	bad(label63+"a.example", notHost)
	bad("example."+label63+"a", notHost)
	bad(host253+"b", notHost)
	bad(host253+"b.", notHost)
	bad(host253+"..", notHost)
	bad(strings.Repeat("a.", 5000)+"a", notHost)

	bad("localhost", singleLabel)
	bad("localhost.", singleLabel)
	bad("COM", singleLabel)
	bad("hostname", singleLabel)
	bad("xn--p1ai", singleLabel)
	bad("bücher", singleLabel)
	bad("123", singleLabel)

	bad("192.0.2.1", address)
	bad("192.0.2.1.", address)
	bad("192.0.2", address)
	bad("999.999.999.999", address)
	bad("010.0.0.1", address)
	bad("1.2.3.4.5", address)
	bad("example.123", address)
	bad("example.1", address)
	bad("１２７.0.0.1", address) // full-width digits
	bad("127。0。0。1", address)

	bad("2001:db8::1", notHost)
	bad("::1", notHost)
	bad("::ffff:192.0.2.1", notHost)
	bad("fe80::1%eth0", notHost)
	bad("[192.0.2.1]", notHost)
	bad("[2001:db8::1]", notHost)
	bad("[IPv6:2001:db8::1]", notHost)
	bad("[example.com]", notHost) // brackets and ports are Postfix's, not a domain's
	bad("[example.com", notHost)
	bad("example.com]", notHost)
	bad("[]", notHost)
	bad("[[example.com]]", notHost)
	bad("example.com:25", notHost)

	bad("user@example.com", notHost)
	bad("https://example.com/", notHost)
	bad("example.com/", notHost)
	bad("exa mple.com", notHost)
	bad(" example.com", notHost)
	bad("example.com ", notHost)
	bad("example.com\n", notHost)
	bad("example.com\r\n", notHost)
	bad("exam\tple.com", notHost)
	bad("example.com\x00", notHost)
	bad("\x00.example", notHost)
	bad("exam\x7fple.com", notHost)
	bad("example,com", notHost)
	bad(`exam\ple.com`, notHost)

	bad("\xff.example", notHost) // no UTF-8
	bad("b\xfccher.example", notHost)
	bad("bücher\xc3.example", notHost)
	bad("bücher..example", notHost)
	bad(".bücher.example", notHost)
	bad("bücher.example。。", notHost)
	bad("bü_cher.example", notHost)
	bad("bücher.exam ple", notHost)
	bad("bücher.example\x00", notHost)
	bad("-bücher.example", notHost)
	bad("bücher-.example", notHost)
	bad("bücher.xn--a", notHost) // beside a U-label, A-labels are looked into
	bad("\u202ebücher.example", notHost)
	bad("\u0308.example", notHost) // begins with a combining mark
	bad("\u00ad.example", notHost) // nothing is left of it
	bad("aא.example", notHost)     // bidi rule
	bad("☃☃\ufffd.example", notHost)
	bad(strings.Repeat("ü", 63)+".example", notHost)
	bad(strings.Repeat("\u00ad", 500)+"bücher.example", notHost) // longer than IDNA is asked for
	bad(strings.Repeat("bücher.", 40)+"example", notHost)
}

func TestDomainNames(t *testing.T) {
	t.Parallel()
	d := mustDomain(t, "Example.com.")
	if got, want := d.RecordName(), "_mta-sts.example.com"; got != want {
		t.Errorf("RecordName() = %q, want %q", got, want)
	}
	if got, want := d.PolicyHost(), "mta-sts.example.com"; got != want {
		t.Errorf("PolicyHost() = %q, want %q", got, want)
	}
	if d.IsZero() || !(mtasts.Domain{}).IsZero() {
		t.Error("IsZero is true of a domain or false of none")
	}
	if d != mustDomain(t, "EXAMPLE.COM") {
		t.Error("two spellings of one domain differ")
	}
}

// The DNS holds names of 253 bytes; the label of the record takes nine.
func TestDomainCanPublish(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]bool{3: true, 243: true, 244: true, 245: false, 253: false} {
		d := mustDomain(t, nameOfLen(n))
		if got := d.CanPublish(); got != want {
			t.Errorf("CanPublish of %d bytes = %t, want %t; its record is %d bytes", n, got, want, len(d.RecordName()))
		}
	}
}

// nameOfLen makes a host name of n bytes, 3 or more.
func nameOfLen(n int) string {
	name := []byte(strings.Repeat("a", n))
	for i := n - 2; i > 0; i -= 60 {
		name[i] = '.'
	}
	return string(name)
}

func mustDomain(t *testing.T, s string) mtasts.Domain {
	t.Helper()
	d, err := mtasts.ParseDomain(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
