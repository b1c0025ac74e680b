package policyhost

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"mta-sts-daemon/resolver/resolvertest"
)

// Which names in a certificate are the policy host's (RFC 8461 section 3.3, RFC
// 9525 sections 6.3 and 6.4).
func TestCertificateNames(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		leaf resolvertest.Leaf
		good bool
	}{
		"its name":               {resolvertest.Leaf{Names: []string{testHost}}, true},
		"its name among others":  {resolvertest.Leaf{Names: []string{"other.example.net", testHost}}, true},
		"in capitals":            {resolvertest.Leaf{Names: []string{"MTA-STS.Example.COM"}}, true},
		"a wildcard":             {resolvertest.Leaf{Names: []string{"*.example.com"}}, true},
		"common name alone":      {resolvertest.Leaf{CommonName: testHost}, false},
		"common name and other":  {resolvertest.Leaf{CommonName: testHost, Names: []string{"www.example.com"}}, false},
		"wildcard of two labels": {resolvertest.Leaf{Names: []string{"*.com"}}, false},
		"wildcard of itself":     {resolvertest.Leaf{Names: []string{"*.mta-sts.example.com"}}, false},
		"wildcard inside":        {resolvertest.Leaf{Names: []string{"mta-sts.*.com"}}, false},
		"partial, at the end":    {resolvertest.Leaf{Names: []string{"mta-*.example.com"}}, false},
		"partial, at the start":  {resolvertest.Leaf{Names: []string{"*-sts.example.com"}}, false},
		"partial, in the middle": {resolvertest.Leaf{Names: []string{"mta*sts.example.com"}}, false},
		"the policy domain":      {resolvertest.Leaf{Names: []string{testDomain}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := resolvertest.NewCA(t)
			hosts := resolvertest.StartPolicyHosts(t, ca)
			host := resolvertest.HostPolicy(testPolicy)
			host.Leaf = func(string) resolvertest.Leaf { return c.leaf }
			hosts.Handle(testDomain, host)
			_, err := New(options(ca, hosts)).Fetch(t.Context(), domain(t, testDomain))
			if c.good && err != nil {
				t.Error(err)
			}
			if !c.good {
				checkFetchError(t, err, ResultWebPKIInvalid, "certificate")
			}
		})
	}
}

// A ClientHello fits into one segment on any path, also for the longest name, and
// is one record: middleboxes drop others.
func TestClientHelloIsShort(t *testing.T) {
	t.Parallel()
	label := strings.Repeat("x", 63)
	longest := strings.Join([]string{label, label, label, strings.Repeat("x", 51)}, ".") // with mta-sts: 253
	for name, most := range map[string]int{testDomain: 400, longest: 700} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		sizes := make(chan int, 1)
		go func() {
			conn, err := listener.Accept()
			if err != nil {
				close(sizes)
				return
			}
			defer conn.Close()
			header := make([]byte, 5)
			io.ReadFull(conn, header)
			sizes <- int(binary.BigEndian.Uint16(header[3:]))
		}()
		at := netip.MustParseAddrPort(listener.Addr().String())
		New(Options{
			Addresses:       addresses(at.Addr().String()),
			AllowNetworks:   []netip.Prefix{loopback},
			TestingOnlyPort: at.Port(),
		}).Fetch(t.Context(), domain(t, name)) // fails: nobody answers the ClientHello
		if size := <-sizes; size == 0 || size > most {
			t.Errorf("ClientHello of %d bytes for %s, want at most %d", size, name, most)
		}
	}
}

// What old servers do in the handshake is named.
func TestOldTLS(t *testing.T) {
	t.Parallel()
	// A ServerHello of TLS 1.1: version, random, no session, cipher suite.
	hello := "\x16\x03\x02\x00\x2a\x02\x00\x00\x26\x03\x02" + strings.Repeat("r", 32) + "\x00\x00\x2f\x00"
	for name, c := range map[string]struct{ sent, message string }{
		"TLS 1.1":             {hello, "the host speaks no TLS 1.2 or newer: tls: server selected unsupported protocol version 302"},
		"protocol version":    {"\x15\x03\x01\x00\x02\x02\x46", "the host speaks no TLS 1.2 or newer: remote error: tls: protocol version not supported"},
		"handshake failure":   {"\x15\x03\x03\x00\x02\x02\x28", "offers only RSA key exchange or obsolete CBC cipher suites: remote error: tls: handshake failure"},
		"insufficient":        {"\x15\x03\x03\x00\x02\x02\x47", "offers only RSA key exchange or obsolete CBC cipher suites: remote error: tls: insufficient security level"},
		"another alert":       {"\x15\x03\x03\x00\x02\x02\x70", ": remote error: tls: unrecognized name"},
		"RSA though unasked":  {strings.Replace(hello, "\x03\x02", "\x03\x03", 2), "offers only RSA key exchange or obsolete CBC cipher suites: tls: server chose an unconfigured cipher suite"},
		"closes after a part": {hello[:20], "connection closed in the TLS handshake"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := resolvertest.NewCA(t)
			hosts := resolvertest.StartPolicyHosts(t, ca)
			hosts.Handle(testDomain, resolvertest.Behaviour{BeforeHandshake: func(conn net.Conn) {
				io.WriteString(conn, c.sent)
				if name == "closes after a part" {
					conn.Close()
				}
				io.Copy(io.Discard, conn)
			}})
			_, err := New(options(ca, hosts)).Fetch(t.Context(), domain(t, testDomain))
			checkFetchError(t, err, ResultFetchError, c.message)
		})
	}
}
