package dane

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"mta-sts-daemon/resolver/dnsclient"
)

// certificate returns a self-signed one and its SubjectPublicKeyInfo, in DER.
func certificate(tb testing.TB) (cert, spki []byte) {
	tb.Helper()
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "mx.test"},
		NotBefore:    time.Unix(0, 0),
		NotAfter:     time.Unix(1, 0), // DANE-EE does not look at it (RFC 7671 section 5.1)
	}
	cert, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	if err != nil {
		tb.Fatal(err)
	}
	spki, err = x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		tb.Fatal(err)
	}
	return cert, spki
}

func TestCanUse(t *testing.T) {
	t.Parallel()
	cert, spki := certificate(t)
	digest := func(n int) []byte { return bytes.Repeat([]byte{0xa5}, n) }
	expect := func(want bool, usage, selector, matching uint8, data []byte) {
		t.Helper()
		r := dnsclient.TLSA{Usage: usage, Selector: selector, MatchingType: matching, Data: data}
		if canUse(r) != want {
			t.Errorf("%+v: want %v", r, want)
		}
	}
	good := func(usage, selector, matching uint8, data []byte) {
		t.Helper()
		expect(true, usage, selector, matching, data)
	}
	bad := func(usage, selector, matching uint8, data []byte) {
		t.Helper()
		expect(false, usage, selector, matching, data)
	}
	good(3, 1, 1, digest(32))
	good(3, 0, 1, digest(32))
	good(2, 0, 1, digest(32))
	good(2, 1, 2, digest(64))
	good(3, 1, 2, digest(64))
	good(3, 0, 0, cert)
	good(2, 0, 0, cert)
	good(3, 1, 0, spki)
	good(2, 1, 0, spki)

	bad(0, 1, 1, digest(32))   // PKIX-TA
	bad(1, 1, 1, digest(32))   // PKIX-EE
	bad(4, 1, 1, digest(32))   // unassigned
	bad(255, 1, 1, digest(32)) // private use
	bad(3, 2, 1, digest(32))   // unassigned
	bad(3, 255, 1, digest(32)) // private use
	bad(3, 1, 3, digest(32))   // unassigned
	bad(3, 1, 255, digest(32)) // private use
	bad(3, 1, 1, nil)
	bad(3, 1, 1, digest(31))
	bad(3, 1, 1, digest(33))
	bad(3, 1, 1, digest(64)) // SHA-512 as SHA-256
	bad(3, 1, 2, digest(32)) // SHA-256 as SHA-512
	bad(3, 1, 2, digest(63))
	bad(3, 0, 0, nil)
	bad(3, 0, 0, spki)                                  // a key as a certificate
	bad(3, 1, 0, cert)                                  // a certificate as a key
	bad(3, 0, 0, cert[:len(cert)-1])                    // cut short
	bad(3, 0, 0, append(cert[:len(cert):len(cert)], 0)) // something after it
	bad(3, 1, 0, append(spki[:len(spki):len(spki)], 0))
	bad(3, 1, 0, digest(32)) // a digest as a key
}

// FuzzCanUse: what is taken keeps to the limits of RFC 7672 section 3.1, whatever
// a zone says.
func FuzzCanUse(f *testing.F) {
	cert, spki := certificate(f)
	for usage := range uint8(5) {
		for selector := range uint8(3) {
			for matching := range uint8(4) {
				for _, data := range [][]byte{nil, make([]byte, 32), make([]byte, 64), cert, spki} {
					f.Add(usage, selector, matching, data)
				}
			}
		}
	}
	f.Fuzz(func(t *testing.T, usage, selector, matching uint8, data []byte) {
		if !canUse(dnsclient.TLSA{Usage: usage, Selector: selector, MatchingType: matching, Data: data}) {
			return
		}
		if usage != 2 && usage != 3 || selector > 1 || matching > 2 || len(data) == 0 {
			t.Errorf("taken: %d %d %d %x", usage, selector, matching, data)
		}
		if want := map[uint8]int{1: 32, 2: 64}[matching]; want != 0 && len(data) != want {
			t.Errorf("taken: %d octets for matching type %d", len(data), matching)
		}
		if matching != 0 {
			return
		}
		if _, err := x509.ParseCertificate(data); selector == 0 && err != nil {
			t.Errorf("taken: certificate %x: %v", data, err)
		}
		if _, err := x509.ParsePKIXPublicKey(data); selector == 1 && err != nil {
			t.Errorf("taken: key %x: %v", data, err)
		}
	})
}
