package publish

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"strings"
	"testing"
	"time"
)

// issue makes a certificate with the key of all of them.
func issue(t *testing.T, key *ecdsa.PrivateKey, name string, issuer *x509.Certificate, ca bool, from, to time.Time) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: from, NotAfter: to,
		IsCA: ca, BasicConstraintsValid: true, SubjectKeyId: []byte(name),
	}
	if issuer == nil {
		issuer = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestChain(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	at := func(days int) time.Time { return now.Add(time.Duration(days) * day) }
	root := issue(t, key, "root", nil, true, at(-1000), at(1000))
	middle := issue(t, key, "middle", root, true, at(-500), at(500))
	old := issue(t, key, "old", root, true, at(-500), at(-1))
	other := issue(t, key, "other", nil, true, at(-500), at(500))
	leaf := func(issuer *x509.Certificate, from, to int) *x509.Certificate {
		return issue(t, key, "mx", issuer, false, at(from), at(to))
	}
	chain := func(certs ...*x509.Certificate) []*x509.Certificate { return certs }
	for name, test := range map[string]struct {
		chain []*x509.Certificate
		want  string // "" for none
	}{
		"whole":                   {chain(leaf(middle, -1, 90), middle), ""},
		"with root":               {chain(leaf(middle, -1, 90), middle, root), ""},
		"in another order":        {chain(leaf(middle, -1, 90), root, middle), ""},
		"no intermediate":         {chain(leaf(middle, -1, 90)), "it sends no intermediate certificate, or no known authority has issued its certificate (issuer CN=middle)"},
		"another intermediate":    {chain(leaf(middle, -1, 90), other), "no known authority has issued its certificate (issuer CN=middle)"},
		"of an unknown authority": {chain(leaf(other, -1, 90), other), "no known authority has issued its certificate (issuer CN=other)"},
		"self-signed":             {chain(leaf(nil, -1, 90)), "its certificate is self-signed"},
		"expired":                 {chain(leaf(middle, -90, -1), middle), ""}, // which is another finding
		"early":                   {chain(leaf(middle, 1, 90), middle), ""},
		"early, and outlives":     {chain(leaf(middle, 1, 900), middle), ""},
		"expired intermediate":    {chain(leaf(old, -90, 90), old), "its chain of certificates is not valid: x509: certificate has expired or is not yet valid"},
	} {
		l := &look{now: now, roots: pool(chain(root)), report: &Report{}}
		if got := l.chainFault(test.chain); !strings.HasPrefix(got, test.want) || test.want == "" && got != "" {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
