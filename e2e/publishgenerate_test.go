package e2e

import (
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"mta-sts-daemon/resolver/resolvertest"
)

// newPublisherWorld is a world whose port 443 is free for a real web server.
func newPublisherWorld(t *testing.T) *world {
	t.Helper()
	needWorld(t)
	w := &world{ca: resolvertest.NewCA(t), zone: resolvertest.StartDNSAt(t, authorityAddr.String())}
	w.zone.Add(
		"test. 300 IN SOA ns.test. hostmaster.test. 1 3600 600 86400 60",
		"test. 300 IN NS ns.test.",
		"ns.test. 300 IN A "+authorityAddr.Addr().String(),
	)
	startUnbound(t, bookworm)
	return w
}

// published is the directory of what generate writes for a domain.
func published(domain string) string { return "/srv/" + domain }

// webServer is one that serves what generate has written, as it is.
type webServer struct {
	name  string
	suite suite
	start func(t *testing.T, r *root, domain string, cert tls.Certificate)
}

func webServers() []webServer {
	return []webServer{
		{"nginx", bookworm, func(t *testing.T, r *root, domain string, cert tls.Certificate) {
			// Where certbot puts them, and the generated configuration expects them.
			r.write(t, "etc/letsencrypt/live/mta-sts."+domain+"/fullchain.pem", certificateFile(t, cert))
			r.write(t, "etc/letsencrypt/live/mta-sts."+domain+"/privkey.pem", certificateFile(t, cert))
			r.write(t, "etc/nginx/nginx.conf", "daemon off;\nuser root;\npid /tmp/nginx.pid;\nerror_log stderr;\nevents {}\nhttp {\ninclude "+published(domain)+"/nginx.conf;\n}\n")
			startNginxIn(t, r, "127.0.0.1:443")
		}},
		{"caddy", forky, func(t *testing.T, r *root, domain string, cert tls.Certificate) {
			// Caddy would get the certificate by ACME. It uses one for the name that another
			// site loads.
			r.write(t, "etc/caddy/cert.pem", certificateFile(t, cert))
			r.write(t, "etc/caddy/Caddyfile", "{\n\tadmin off\n}\nimport "+published(domain)+"/Caddyfile\nhttps://other.mta-sts."+domain+" {\n\ttls /etc/caddy/cert.pem /etc/caddy/cert.pem\n}\n")
			cmd := r.command("/usr/bin/caddy", "run", "--config", "/etc/caddy/Caddyfile")
			cmd.Env = append(cmd.Env, "HOME=/tmp")
			caddy := startProcess(t, cmd)
			caddy.awaitListening(t, "127.0.0.1:443")
			caddy.stopLater(t)
		}},
	}
}

// TestGenerate goes through a roll-out as docs/publishing.md has it: what generate writes
// is served by real web servers, check finds nothing at any stage, and Postfix delivers
// as the stage wants.
func TestGenerate(t *testing.T) {
	w := newPublisherWorld(t)
	// The daemon asks the authority itself: unbound would remember the records.
	d := startDaemon(t, w, askAuthority)
	d.stopLater(t)
	f := startFleet(t, w, []answers{plain})
	for i, server := range webServers() {
		t.Run(server.name, func(t *testing.T) {
			server.suite.need(t)
			domain := server.name + ".test"
			mx := w.openMX(t, domain, i+1, goodCertificate)
			rollOut(t, w, d, f, server, domain, mx)
		})
	}
}

// rollOut publishes a policy for a domain of its own, stage by stage.
func rollOut(t *testing.T, w *world, d *daemon, f fleet, server webServer, domain string, mx *sink) {
	outer, host := t, "mta-sts."+domain
	web := newRoot(t, server.suite)
	table := newMatrix()
	for _, stage := range []struct {
		name  string
		check string // how what check prints begins
		want  expectation
	}{
		{"testing", domain + ": nothing found\n", trusted},
		{"enforce", domain + ": nothing found\n", verified},
		{"remove", domain + ": note: mode none: senders apply no policy, except those that have an older one, such as the daemon here until ", trusted},
	} {
		t.Run(stage.name, func(t *testing.T) {
			out, status := publisher(t, d, "generate", "--stage", stage.name, "--output", published(domain), "--rua", "mailto:tlsrpt@"+domain, domain)
			if status != 0 {
				t.Fatalf("generate: exit status %d:\n%s", status, out)
			}
			copyPublished(t, domain, d.root, web)
			publishRecords(t, w, domain, readFile(t, d.root, published(domain)+"/records.zone"))
			if stage.name == "testing" {
				w.addHost(host, "127.0.0.1")
				server.start(outer, web, domain, w.ca.Certificate(resolvertest.Leaf{Names: []string{host, "other." + host}}))
			}
			if out, status := publisher(t, d, "check", domain); status != 0 || !strings.HasPrefix(out, stage.check) || strings.Count(out, "\n") != 1 {
				t.Errorf("check: exit status %d:\n%s", status, out)
			}
			publisher(t, d, "refresh", domain) // the record's TTL has not passed
			f.deliver(t, table.row(stage.name), "someone@"+domain, mx, always(stage.want))
		})
	}
}

// copyPublished copies the files into the web server's root.
func copyPublished(t *testing.T, domain string, from, to *root) {
	t.Helper()
	for _, name := range []string{"www/.well-known/mta-sts.txt", "nginx.conf", "Caddyfile"} {
		to.write(t, published(domain)+"/"+name, readFile(t, from, published(domain)+"/"+name))
	}
}

func readFile(t *testing.T, r *root, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(r.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// publishRecords puts generated records in the place of those before.
func publishRecords(t *testing.T, w *world, domain, zone string) {
	t.Helper()
	for record := range strings.Lines(zone) {
		if strings.HasPrefix(record, ";") {
			continue
		}
		owner, _, _ := strings.Cut(record, ". ")
		w.zone.Remove(owner, dns.TypeTXT)
		w.zone.Add(strings.TrimSpace(record))
	}
}

// TestGenerateRefuses: a policy that the mail hosts do not satisfy is refused.
func TestGenerateRefuses(t *testing.T) {
	w := newWorld(t)
	for i, cert := range []certificate{goodCertificate, wrongName, expired, selfSigned, noSTARTTLS} {
		w.openMX(t, fmt.Sprintf("refused%d.test", i), i+1, cert)
	}
	w.addMX("silent.test", "mx.silent.test", "127.0.1.99")
	d := startDaemon(t, w)
	d.stopLater(t)
	for _, test := range []struct {
		args   string
		status int
		words  string
	}{
		{"refused0.test", 0, "mx: mx.refused0.test"},
		{"--mx *.refused0.test refused0.test", 0, "mx: *.refused0.test"},
		{"--mx mail.refused0.test refused0.test", 2, "the policy has no mx for mx.refused0.test"},
		{"--mx nonsense_ refused0.test", 2, "policy invalid"},
		{"refused1.test", 2, "its certificate is for elsewhere.test, not for the name of the MX host"},
		{"refused2.test", 2, "its certificate expired on"},
		{"refused3.test", 2, "its certificate is self-signed"},
		{"refused4.test", 2, "it does not offer STARTTLS"},
		{"silent.test", 3, "not verified: not judged: no MX host accepts a connection"},
		{"--reference mx.refused0.test silent.test", 2, "it does not accept connections on port 25"},
		{"missing.test", 2, "the domain does not exist (NXDOMAIN)"},
		{"--stage remove refused3.test", 0, "mode: none"},
	} {
		out, status := publisher(t, d, append([]string{"generate"}, strings.Fields(test.args)...)...)
		if status != test.status || !strings.Contains(out, test.words) || (status == 2) == strings.Contains(out, "version: STSv1") {
			t.Errorf("generate %s: exit status %d, want %d and %q:\n%s", test.args, status, test.status, test.words, out)
		}
	}
}
