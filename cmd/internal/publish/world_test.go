package publish

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mta-sts-daemon/cmd/internal/clients"
	"mta-sts-daemon/resolver/authorities"
	"mta-sts-daemon/resolver/dnsclient"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/policyhost"
	"mta-sts-daemon/resolver/resolvertest"
)

// world is a DNS, policy hosts and mail hosts that a test fills. All are at 127.0.0.1.
type world struct {
	ca    *resolvertest.CA
	dns   *resolvertest.DNS
	hosts *resolvertest.PolicyHosts
	ports map[string]uint16 // of mail hosts
	clients.Clients
}

func newWorld(t testing.TB) *world {
	t.Helper()
	ca := resolvertest.NewCA(t)
	w := &world{ca: ca, dns: resolvertest.StartDNS(t), hosts: resolvertest.StartPolicyHosts(t, ca), ports: map[string]uint16{}}
	w.DNS = dnsclient.New(dnsclient.Options{Servers: []netip.AddrPort{w.dns.Addr()}, TrustAD: true})
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, ca.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	if w.Authorities, err = authorities.Open(file); err != nil {
		t.Fatal(err)
	}
	w.Policies = policyhost.New(policyhost.Options{
		Addresses: func(ctx context.Context, host string) ([]netip.Addr, error) {
			answer, err := w.DNS.Addresses(ctx, host)
			return answer.Records, err
		},
		Roots:           w.Authorities.Pool,
		AllowNetworks:   []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		TestingOnlyPort: w.hosts.Addr().Port(),
	})
	return w
}

// recordID is the id of all records: no date.
const recordID = "1"

// publish gives a domain a record, a TLSRPT record, this policy, and one MX host with a
// good certificate.
func (w *world) publish(t testing.TB, domain, policy string) {
	w.dns.Publish(domain, recordID)
	w.dns.Add(
		domain+". 300 IN MX 10 mx."+domain+".",
		"mx."+domain+". 300 IN A 127.0.0.1",
		`_smtp._tls.`+domain+`. 300 IN TXT "v=TLSRPTv1; rua=mailto:tls@`+domain+`"`,
	)
	w.hosts.Serve(domain, policy)
	w.serveMail(t, "mx."+domain, w.greet("mx."+domain, resolvertest.Leaf{Names: []string{"mx." + domain}}))
}

// text is a policy that names a domain's one MX host.
func text(mode, domain string) string {
	return "version: STSv1\nmode: " + mode + "\nmx: mx." + domain + "\nmax_age: 1209600\n"
}

// serveMail makes serve the mail server of host, for each connection.
func (w *world) serveMail(t testing.TB, host string, serve func(net.Conn)) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	w.ports[host] = uint16(listener.Addr().(*net.TCPAddr).Port)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(time.Minute))
				serve(conn)
			}()
		}
	}()
}

// greet is a mail server with that certificate.
func (w *world) greet(host string, leaf resolvertest.Leaf) func(net.Conn) {
	return serveTLS(host, w.ca.ServerConfig(leaf))
}

// serveTLS is a mail server that offers STARTTLS.
func serveTLS(host string, config *tls.Config) func(net.Conn) {
	return func(conn net.Conn) {
		c := textproto.NewConn(conn)
		c.PrintfLine("220 %s ESMTP", host)
		for {
			command, err := c.ReadLine()
			switch {
			case err != nil:
				return
			case strings.HasPrefix(command, "EHLO"):
				c.PrintfLine("250-%s\r\n250-PIPELINING\r\n250 STARTTLS", host)
			case command == "STARTTLS":
				c.PrintfLine("220 go ahead")
				if secure := tls.Server(conn, config); secure.Handshake() == nil {
					c = textproto.NewConn(secure)
				}
			default:
				return
			}
		}
	}
}

func (w *world) options() Options {
	return Options{TestingOnlyPort: func(host string) uint16 { return w.ports[host] }}
}

func (w *world) check(t testing.TB, domains ...string) []*Report {
	t.Helper()
	var parsed []mtasts.Domain
	for _, name := range domains {
		parsed = append(parsed, domain(t, name))
	}
	return Check(t.Context(), w.Clients, parsed, w.options())
}

func domain(t testing.TB, name string) mtasts.Domain {
	t.Helper()
	d, err := mtasts.ParseDomain(name)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// show writes a report as "check" does.
func show(reports ...*Report) string {
	var lines []string
	for _, r := range reports {
		for _, f := range r.Findings {
			lines = append(lines, f.Check+": "+f.String())
		}
	}
	return strings.Join(lines, "\n")
}
