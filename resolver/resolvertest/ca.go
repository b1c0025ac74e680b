package resolvertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"sync"
	"testing"
	"time"
)

// CA is a certificate authority of a test's own, in memory. It is safe for
// concurrent use.
type CA struct {
	tb      testing.TB
	cert    *x509.Certificate
	key     *ecdsa.PrivateKey
	leafKey *ecdsa.PrivateKey // of all leaves: to make one for each shows nothing more

	mu     sync.Mutex // guards what follows
	leaves map[string]tls.Certificate
}

// Leaf has the fields of a server's certificate.
type Leaf struct {
	Names      []string  // DNS names, in the subject alternative name
	CommonName string    // of the subject, which no verifier may look at
	NotAfter   time.Time // zero: in a year
	SelfSigned bool      // by its own key, not by the authority
}

// NewCA makes an authority. Only a client that is given its Pool or PEM trusts
// it.
func NewCA(tb testing.TB) *CA {
	tb.Helper()
	ca, err := newCA(tb)
	if err != nil {
		tb.Fatalf("test CA: %v", err)
	}
	return ca
}

func newCA(tb testing.TB) (*CA, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "Test CA"},
		NotBefore:             now.AddDate(-1, 0, 0),
		NotAfter:              now.AddDate(10, 0, 0),
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &CA{tb: tb, cert: cert, key: key, leafKey: leafKey, leaves: make(map[string]tls.Certificate)}, nil
}

// Pool returns a set of roots that holds the authority alone.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	return pool
}

// PEM returns the authority's certificate as a CA file has it.
func (ca *CA) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw})
}

// Certificate issues a server certificate with its key. The same Leaf gets the
// same certificate again.
func (ca *CA) Certificate(leaf Leaf) tls.Certificate {
	ca.tb.Helper()
	cert, err := ca.issue(leaf)
	if err != nil {
		ca.tb.Fatalf("test CA: certificate for %q: %v", leaf.Names, err)
	}
	return cert
}

// ServerConfig returns the settings of a server with such a certificate.
func (ca *CA) ServerConfig(leaf Leaf) *tls.Config {
	ca.tb.Helper()
	return &tls.Config{Certificates: []tls.Certificate{ca.Certificate(leaf)}}
}

func (ca *CA) issue(leaf Leaf) (tls.Certificate, error) {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	id := fmt.Sprintf("%+v", leaf)
	if cert, ok := ca.leaves[id]; ok {
		return cert, nil
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(int64(len(ca.leaves) + 2)),
		Subject:      pkix.Name{CommonName: leaf.CommonName},
		DNSNames:     leaf.Names,
		NotBefore:    now.AddDate(0, -1, 0),
		NotAfter:     leaf.NotAfter,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if leaf.NotAfter.IsZero() {
		template.NotAfter = now.AddDate(1, 0, 0)
	}
	issuer, key := ca.cert, ca.key
	if leaf.SelfSigned {
		issuer, key = template, ca.leafKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, ca.leafKey.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, err
	}
	cert := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: ca.leafKey, Leaf: parsed}
	ca.leaves[id] = cert
	return cert, nil
}
