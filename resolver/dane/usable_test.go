package dane

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
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

// What OpenSSL 3 takes and Go's parsers refuse, in DER and base64. Made with
// "openssl req -x509 -set_serial -5" and "openssl pkey -pubout".
const (
	negativeSerial = "MIIBJTCB2KADAgECAgH7MAUGAytlcDASMRAwDgYDVQQDDAdteC50ZXN0MB4XDTI2MTEyODE3NTQwOVoXDTM2MTEyNTE3NTQwOVow" +
		"EjEQMA4GA1UEAwwHbXgudGVzdDAqMAUGAytlcAMhAMtfqraP0gorwcNCARydX+O7rErPJ18r1b3T5UIoaflmo1MwUTAdBgNVHQ4E" +
		"FgQUpFbr5PThPz7vXDJS4e7cDIoMnv0wHwYDVR0jBBgwFoAUpFbr5PThPz7vXDJS4e7cDIoMnv0wDwYDVR0TAQH/BAUwAwEB/zAF" +
		"BgMrZXADQQAXQAQCPkGdSWsjKP6yDkU1SJwQlX/Hv5AyxjmO1nDCqPXrSLtr2o7JBLmx1iymv5SBqlsZAV0SBktRoYcRMWIN"
	brainpoolP256r1 = "MFowFAYHKoZIzj0CAQYJKyQDAwIIAQEHA0IABEfxA4U3WqP/F/jIFA+0KP70eY7rd4cyTXX/UES/duuzQyvnX2yWOPMCymFLIXeL" +
		"e0K7AIWtARSDMHQEbEDrR9c="
	ed448 = "MEMwBQYDK2VxAzoA5G7GyGRTpu8BDKTf3ABjM2yTCZxPW117QQZc2HiQ+GNdz/GZCI145FF8vc8C/703+za4JdnJfMsA"
)

func TestCanUse(t *testing.T) {
	t.Parallel()
	cert, spki := certificate(t)
	digest := func(n int) []byte { return bytes.Repeat([]byte{0xa5}, n) }
	expect := func(want bool, usage, selector, matching uint8, data []byte) {
		t.Helper()
		r := dnsclient.TLSA{Usage: usage, Selector: selector, MatchingType: matching, Data: data}
		if Usable(r) != want {
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
	for text, selector := range map[string]uint8{negativeSerial: 0, brainpoolP256r1: 1, ed448: 1} {
		der, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		good(3, selector, 0, der)
		good(2, selector, 0, der)
		bad(3, 1-selector, 0, der)
		bad(3, selector, 0, der[:len(der)-1])
	}

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
	bad(3, 1, 0, []byte{0x30, 0})
	bad(3, 1, 0, []byte{0x30, 0x80, 0x30, 0, 0x03, 0, 0, 0}) // BER, of indefinite length
	bad(3, 1, 0, []byte{0x30, 0x81, 4, 0x30, 0, 0x03, 0})    // BER, a length longer than needed
	bad(3, 1, 0, []byte{0x31, 4, 0x30, 0, 0x03, 0})          // a SET
	bad(3, 1, 0, []byte{0x30, 4, 0x10, 0, 0x03, 0})          // a SEQUENCE that is not constructed
	bad(3, 1, 0, []byte{0x30, 6, 0x30, 0, 0x03, 0, 0x05, 0}) // one element too many
	bad(3, 0, 0, []byte{0x30, 6, 0x30, 0, 0x30, 0, 0x04, 0}) // an OCTET STRING
	bad(3, 0, 0, []byte{0x30, 6, 0x30, 0, 0xb0, 0, 0x03, 0}) // a tag of another class
}

// FuzzCanUse: an accepted record keeps to RFC 7672 section 3.1, for every record
// in a zone.
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
		if !Usable(dnsclient.TLSA{Usage: usage, Selector: selector, MatchingType: matching, Data: data}) {
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
		// DER is one element that says how long it is.
		var outer asn1.RawValue
		if rest, err := asn1.Unmarshal(data, &outer); err != nil || len(rest) != 0 || outer.Tag != asn1.TagSequence {
			t.Errorf("taken: %x: %v", data, err)
		}
	})
}
