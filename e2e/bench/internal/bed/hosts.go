package bed

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"strings"
	"time"
)

// Labels of the hosts of a domain.
const (
	policyHostLabel = "mta-sts."
	mailHostLabel   = "mx1."
)

// Hosts are the policy hosts and MX hosts of the first domains, told apart by the TLS
// server name.
type Hosts struct {
	root  *x509.Certificate
	key   *ecdsa.PrivateKey           // of the authority and of all hosts
	certs map[string]*tls.Certificate // by domain: its two hosts have one in common

	ledger *Ledger
}

// NewHosts makes an authority and the certificates of so many domains beforehand,
// about 5,000 a second.
func NewHosts(domains uint32, l *Ledger) (*Hosts, error) {
	h := &Hosts{certs: make(map[string]*tls.Certificate, domains), ledger: l}
	var err error
	if h.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Benchmark CA"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
		KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, h.key.Public(), h.key)
	if err != nil {
		return nil, err
	}
	if h.root, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	for n := range domains {
		domain := Domain(n)
		if h.certs[domain], err = h.certify(domain, int64(n)+2); err != nil {
			return nil, err
		}
	}
	return h, nil
}

func (h *Hosts) certify(domain string, serial int64) (*tls.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), DNSNames: []string{policyHostLabel + domain, mailHostLabel + domain},
		NotBefore: h.root.NotBefore, NotAfter: h.root.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, h.root, h.key.Public(), h.key)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: h.key}, err
}

// PEM is the authority as a CA file has it.
func (h *Hosts) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.root.Raw})
}

var errUnknownHost = errors.New("no such host")

// certificate finds the certificate of the host that a client asks for.
func (h *Hosts) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	_, domain, _ := strings.Cut(hello.ServerName, ".")
	if cert, ok := h.certs[domain]; ok {
		return cert, nil
	}
	return nil, errUnknownHost
}

// Serve serves policies until l is closed, one a connection.
func (h *Hosts) Serve(l net.Listener) error {
	return serve(tls.NewListener(l, &tls.Config{GetCertificate: h.certificate, SessionTicketsDisabled: true}), h.answer)
}

// serve calls handle for each connection until l is closed.
func serve(l net.Listener, handle func(net.Conn)) error {
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go handle(conn)
	}
}

// answer serves one policy. A client that does not want it is its own fault.
func (h *Hosts) answer(conn net.Conn) {
	defer conn.Close()
	request, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return
	}
	policy := h.ledger.fetch(strings.TrimPrefix(request.Host, policyHostLabel))
	fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		len(policy), policy)
}
