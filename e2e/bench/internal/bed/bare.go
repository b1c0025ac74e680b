package bed

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/miekg/dns"
	"golang.org/x/sync/errgroup"
)

// Bare asks the bed for all that a discovery needs and ignores the answers. Its
// rate is an upper limit for a server of lookups.
type Bare struct {
	DNS         netip.AddrPort
	HTTPSPort   uint16
	Roots       *x509.CertPool
	Concurrency int
}

// Policies finds the policies of the domains from one number up to another, by
// TXT, A and HTTPS.
func (b Bare) Policies(from, to uint32) error {
	return b.each(from, to, func(n uint32) error {
		domain := Domain(n)
		if _, err := b.query("_mta-sts."+domain, dns.TypeTXT); err != nil {
			return err
		}
		answer, err := b.query(policyHostLabel+domain, dns.TypeA)
		if err != nil {
			return err
		}
		for _, rr := range answer {
			if a, ok := rr.(*dns.A); ok {
				addr, _ := netip.AddrFromSlice(a.A.To4())
				return b.fetch(domain, netip.AddrPortFrom(addr, b.HTTPSPort))
			}
		}
		return fmt.Errorf("%s has no address", domain)
	})
}

// Absences asks for the records of domains that have none.
func (b Bare) Absences(from, to uint32) error {
	return b.each(from, to, func(n uint32) error {
		_, err := b.query("_mta-sts."+string(AppendAbsent(nil, n)), dns.TypeTXT)
		return err
	})
}

func (b Bare) each(from, to uint32, do func(n uint32) error) error {
	var group errgroup.Group
	group.SetLimit(b.Concurrency)
	for n := from; n < to; n++ {
		group.Go(func() error { return do(n) })
	}
	return group.Wait()
}

// query uses a socket of its own for each question, as whoever fears forged
// answers does (RFC 5452 section 9.2).
func (b Bare) query(name string, qtype uint16) ([]dns.RR, error) {
	var client dns.Client
	query := new(dns.Msg)
	query.SetQuestion(dns.Fqdn(name), qtype)
	reply, _, err := client.Exchange(query, b.DNS.String())
	if err != nil {
		return nil, err
	}
	return reply.Answer, nil
}

func (b Bare) fetch(domain string, addr netip.AddrPort) error {
	host := policyHostLabel + domain
	tcp, err := net.Dial("tcp", addr.String())
	if err != nil {
		return err
	}
	// Classic key exchange, as the daemon does.
	conn := tls.Client(tcp, &tls.Config{ServerName: host, RootCAs: b.Roots, CurvePreferences: []tls.CurveID{tls.X25519}})
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", host); err != nil {
		return err
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(response.Body)
	if err == nil && string(text) != Policy(domain) {
		err = fmt.Errorf("%s: %.60q is not its policy", domain, strings.TrimSpace(string(text)))
	}
	return err
}
