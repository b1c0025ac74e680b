package e2e

import (
	"crypto/tls"
	"fmt"
	"testing"
	"time"

	"mta-sts-daemon/e2e/internal/smtpsink"
	"mta-sts-daemon/resolver/resolvertest"
)

// certificate is how the certificate of a sink is, or its absence.
type certificate string

const (
	goodCertificate certificate = "good"
	wrongName       certificate = "wrong name"
	expired         certificate = "expired"
	selfSigned      certificate = "self-signed"
	noSTARTTLS      certificate = "no STARTTLS"
	noHandshake     certificate = "handshake fails" // STARTTLS is offered, without a certificate
	noREQUIRETLS    certificate = "no REQUIRETLS"   // a good one
)

// sink is the mail server of an MX host.
type sink struct {
	*smtpsink.Sink
	host    string
	askedAs string // the name that Postfix is expected to ask for: host, unless a test says otherwise
}

// startSink starts a server that calls itself host at addr.
func startSink(t *testing.T, ca *resolvertest.CA, addr, host string, cert certificate) *sink {
	t.Helper()
	leaf := resolvertest.Leaf{Names: []string{host}}
	switch cert {
	case noSTARTTLS:
		return serveSink(t, addr, smtpsink.Config{Host: host})
	case noHandshake:
		return serveSink(t, addr, smtpsink.Config{Host: host, TLS: new(tls.Config)})
	case wrongName:
		leaf.Names = []string{"elsewhere.test"}
	case expired:
		leaf.NotAfter = time.Now().Add(-time.Hour)
	case selfSigned:
		leaf.SelfSigned = true
	}
	return serveSink(t, addr, smtpsink.Config{Host: host, TLS: ca.ServerConfig(leaf), NoREQUIRETLS: cert == noREQUIRETLS})
}

// openMX starts the n-th MX host, the only one of domain.
func (w *world) openMX(t *testing.T, domain string, n int, cert certificate) *sink {
	t.Helper()
	address := fmt.Sprintf("127.0.1.%d", n)
	w.addMX(domain, "mx."+domain, address)
	return startSink(t, w.ca, address+":25", "mx."+domain, cert)
}

func serveSink(t *testing.T, addr string, config smtpsink.Config) *sink {
	t.Helper()
	s, err := smtpsink.Start(addr, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return &sink{Sink: s, host: config.Host, askedAs: config.Host}
}
