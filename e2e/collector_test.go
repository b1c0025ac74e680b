package e2e

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// collector takes the datagrams in which libtlsrpt tells, for a report to the
// domain (RFC 8460), how each TLS handshake of an instance of Postfix went.
type collector struct {
	socket  *net.UnixConn
	reading sync.WaitGroup
	heard   *transcript // a datagram a line
}

// collectorSocket is the collector's, below Postfix's queue directory.
const collectorSocket = "tlsrpt"

// collected are Postfix's settings for TLSRPT.
var collected = []string{"smtp_tlsrpt_enable = yes", "smtp_tlsrpt_socket_name = " + collectorSocket}

// report is a datagram, as far as the tests look at it.
type report struct {
	Domain   string         `json:"d"`
	Policies []policyReport `json:"policies"`
}

type policyReport struct {
	Type     int       `json:"policy-type"`
	Domain   string    `json:"policy-domain"`
	Text     []string  `json:"policy-string"`
	MXHosts  []string  `json:"mx-host"`
	Failures []failure `json:"failure-details"`
	Failed   int       `json:"f"` // 1 if the session failed
}

type failure struct {
	Code   int    `json:"c"`
	MXHost string `json:"n"`
}

// libtlsrpt's numbers for what RFC 8460 section 4.3 and 4.4 give words.
const (
	typeSTS           = 2
	typeNoPolicyFound = 9

	codeNoSTARTTLS   = 201
	codeHostMismatch = 202
	codeExpired      = 204
	codeValidation   = 205
)

func startCollector(t *testing.T, p *postfix) *collector {
	t.Helper()
	path := filepath.Join(p.root.jail(), collectorSocket)
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	c := &collector{socket: socket, heard: newTranscript()}
	c.reading.Go(c.read)
	t.Cleanup(func() {
		socket.Close()
		c.reading.Wait()
		if t.Failed() {
			t.Logf("the collector has heard:\n%s", c.heard)
		}
	})
	return c
}

func (c *collector) read() {
	const longest = 1 << 20
	datagram := make([]byte, longest)
	for {
		n, err := c.socket.Read(datagram)
		if err != nil {
			return // closed
		}
		c.heard.Write(append(datagram[:n:n], '\n'))
	}
}

// reports returns the reports about domain so far, and a channel that is closed
// when another report of any domain arrives.
func (c *collector) reports(t *testing.T, domain string) (about []report, grown <-chan struct{}) {
	t.Helper()
	lines, grown := c.heard.snapshot()
	for _, line := range lines {
		var r report
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		if r.Domain == domain {
			about = append(about, r)
		}
	}
	return about, grown
}

// await returns the first report on domain.
func (c *collector) await(t *testing.T, domain string) report {
	t.Helper()
	tooLong := time.After(patience)
	for {
		about, grown := c.reports(t, domain)
		if len(about) > 0 {
			return about[0]
		}
		select {
		case <-grown:
		case <-tooLong:
			t.Fatalf("waited %v in vain for a report on %s", patience, domain)
		}
	}
}
