package publish

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mta-sts-daemon/cmd/internal/admin"
	"mta-sts-daemon/resolver/authorities"
	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/resolvertest"
)

func TestGood(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publish(t, "enforce.example", text("enforce", "enforce.example"))
	w.publish(t, "testing.example", text("testing", "testing.example"))
	reports := w.check(t, "enforce.example", "testing.example")
	if got := show(reports...); got != "" || ExitStatus(reports...) != ExitClean {
		t.Errorf("exit status %d:\n%s", ExitStatus(reports...), got)
	}
	if reports[0].Domain != "enforce.example" || reports[1].Mode != "testing" {
		t.Errorf("reports %+v, want them in order", reports)
	}
}

// Faults of mail servers that Postfix does not have; the others are in e2e's zoo.
func TestMailServers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	say := func(lines string) func(net.Conn) {
		return func(conn net.Conn) {
			io.WriteString(conn, lines)
			io.Copy(io.Discard, conn)
		}
	}
	const greeting, offer = "220 mx ESMTP\r\n", "250-mx\r\n250 STARTTLS\r\n"
	for name, test := range map[string]struct {
		serve    func(host string) func(net.Conn)
		severity Severity
		want     string
	}{
		"refuses": {func(string) func(net.Conn) { return say("554 no \x1b[31mservice\r\n") }, Unjudged,
			`mx-refuses: not judged: mx.refuses.example: it does not talk to this host: 554 no \x1b[31mservice.`},
		"http": {func(string) func(net.Conn) { return say("HTTP/1.1 400 Bad Request\r\n") }, Fault,
			`mx-greeting: fault, stops mail: mx.http.example: it does not speak SMTP: short response: "HTTP/1.1 400 Bad Request".`},
		"closes": {func(string) func(net.Conn) { return func(conn net.Conn) { conn.Close() } }, Fault,
			"mx-greeting: fault, stops mail: mx.closes.example: it does not speak SMTP: the server closed the connection."},
		"injects": {func(string) func(net.Conn) { return say(greeting + offer + "220 go ahead\r\n250 injected\r\n") }, Fault,
			"mx-handshake: fault, stops mail: mx.injects.example: the TLS handshake fails: the server sent more than its reply to STARTTLS before TLS began."},
		"endless": {func(string) func(net.Conn) {
			return func(conn net.Conn) {
				for err := error(nil); err == nil; {
					_, err = io.WriteString(conn, "220-"+strings.Repeat("x", 1000)+"\r\n")
				}
			}
		}, Fault, "mx-greeting: fault, stops mail: mx.endless.example: it does not speak SMTP: the server sent more than 262144 bytes."},
		"refuses-tls": {func(string) func(net.Conn) { return say(greeting + offer + "454 4.7.0 not now\r\n") }, Fault,
			"mx-starttls-refused: fault, stops mail: mx.refuses-tls.example: it offers STARTTLS and refuses it: 454 4.7.0 not now."},
		"no-name": {func(host string) func(net.Conn) { return w.greet(host, resolvertest.Leaf{CommonName: host}) }, Fault,
			"mx-certificate-name: fault, stops mail: mx.no-name.example: its certificate is for no DNS name, not for the name of the MX host."},
		"other-in-policy": {func(host string) func(net.Conn) {
			return w.greet(host, resolvertest.Leaf{Names: []string{"mail.other-in-policy.example"}})
		}, Fault,
			"its certificate is for mail.other-in-policy.example, not for the name of the MX host; Postfix accepts that, because the policy has such a name, and other senders do not."},
		// Two faults, two findings.
		"expired-and-self-signed": {func(host string) func(net.Conn) {
			return w.greet(host, resolvertest.Leaf{Names: []string{host}, NotAfter: time.Now().Add(-time.Hour), SelfSigned: true})
		}, Fault, "mx-certificate-chain: fault, stops mail: mx.expired-and-self-signed.example: its certificate is self-signed."},
	} {
		t.Run(name, func(t *testing.T) {
			domain := name + ".example"
			policy := text("enforce", domain)
			if name == "other-in-policy" {
				policy = strings.Replace(policy, "mx: mx.", "mx: *.", 1)
			}
			w.publish(t, domain, policy)
			w.serveMail(t, "mx."+domain, test.serve("mx."+domain))
			report := w.check(t, domain)[0]
			got := show(report)
			if !strings.Contains(got, test.want) || report.Findings[0].Severity != test.severity {
				t.Errorf("found:\n%s\nwant %s", got, test.want)
			}
			if n := len(report.Findings); n != 1 && name != "expired-and-self-signed" {
				t.Errorf("%d findings, want one:\n%s", n, got)
			}
		})
	}
}

// TLSA records with usage 2, for an authority that the mail server sends along.
func TestTrustAnchor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.dns.SetAuthenticated(true)
	block, _ := pem.Decode(w.ca.PEM())
	digest := sha256.Sum256(block.Bytes)
	for name, test := range map[string]struct {
		leaf string // its name; "": the host's
		sent bool   // the authority's certificate is sent
		tlsa string
		want string // the checks
	}{
		"sent":      {"", true, fmt.Sprintf("2 0 1 %x", digest), ""},
		"not-sent":  {"", false, fmt.Sprintf("2 0 1 %x", digest), "tlsa-mismatch"},
		"in-record": {"", false, fmt.Sprintf("2 0 0 %x", block.Bytes), ""},
		"by-domain": {"by-domain.example", true, fmt.Sprintf("2 0 1 %x", digest), "mx-certificate-name"},
		"name":      {"other.example", true, fmt.Sprintf("2 0 1 %x", digest), "tlsa-mismatch mx-certificate-name"},
	} {
		t.Run(name, func(t *testing.T) {
			domain := name + ".example"
			host := "mx." + domain
			w.publish(t, domain, text("testing", domain))
			w.dns.Add("_25._tcp." + host + ". 300 IN TLSA " + test.tlsa)
			leaf := host
			if test.leaf != "" {
				leaf = test.leaf
			}
			cert := w.ca.Certificate(resolvertest.Leaf{Names: []string{leaf}})
			if test.sent {
				cert.Certificate = append(cert.Certificate[:1:1], block.Bytes)
			}
			w.serveMail(t, host, serveTLS(host, &tls.Config{Certificates: []tls.Certificate{cert}}))
			report := w.check(t, domain)[0]
			var checks []string
			for _, f := range report.Findings {
				checks = append(checks, f.Check)
			}
			if got := strings.Join(checks, " "); got != test.want || report.DANE != "full" {
				t.Errorf("DANE %s, checks %q, want %q:\n%s", report.DANE, got, test.want, show(report))
			}
		})
	}
}

// memory is a daemon that remembers one domain.
type memory struct {
	domain  admin.Domain
	changes []admin.Change
}

func (m memory) Domain(context.Context, string) (admin.Domain, error) { return m.domain, nil }

func (m memory) Changes(context.Context, time.Time) (admin.History, error) {
	return admin.History{Changes: m.changes}, nil
}

func TestMemory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := time.Now()
	ago := func(days int) time.Time { return now.Add(-time.Duration(days) * day) }
	remembered := func(mode, id string, mx ...string) admin.Domain {
		return admin.Domain{Policy: &admin.Policy{Mode: mode, ID: id, MX: mx, MaxAge: 1209600, Fetched: ago(3), Expires: now.Add(10 * day)}}
	}
	w.publish(t, "m.example", text("enforce", "m.example"))
	w.publish(t, "t.example", text("testing", "t.example"))
	w.publish(t, "x.example", text("enforce", "x.example"))
	w.publish(t, "gone.example", text("enforce", "gone.example"))
	w.dns.Remove("_mta-sts.gone.example", 16)
	w.dns.Add("x.example. 300 IN MX 5 new.x.example.", "new.x.example. 300 IN A 127.0.0.1")
	w.serveMail(t, "new.x.example", w.greet("new.x.example", resolvertest.Leaf{Names: []string{"new.x.example"}}))
	w.dns.Remove("x.example", 15)
	w.dns.Add("x.example. 300 IN MX 5 new.x.example.")
	mismatch := remembered("enforce", recordID, "mx.x.example")
	mismatch.Mismatch = ago(5)
	for name, test := range map[string]struct {
		domain string
		memory memory
		want   string // "" for nothing
	}{
		"same":             {"m.example", memory{domain: remembered("enforce", recordID, "mx.m.example")}, ""},
		"other id":         {"m.example", memory{domain: remembered("testing", "0", "mx.m.example")}, ""},
		"nothing":          {"m.example", memory{}, ""},
		"mx":               {"m.example", memory{domain: remembered("enforce", recordID, "old.m.example")}, "its id did not: mx; senders use the old one"},
		"gone":             {"gone.example", memory{domain: remembered("enforce", recordID, "mx.gone.example")}, "record-gone: fault: there is no MTA-STS record at _mta-sts.gone.example any more, and senders that have the policy enforce it until " + date(now.Add(10*day))},
		"mismatch":         {"x.example", memory{domain: mismatch}, "the policy has no mx for new.x.example; its mx mx.x.example matches no MX host; the daemon here has seen that since " + date(ago(5))},
		"testing, new":     {"t.example", memory{domain: remembered("testing", recordID, "mx.t.example"), changes: []admin.Change{{At: ago(89), Domain: "t.example", NewMode: "testing"}}}, ""},
		"testing, long":    {"t.example", memory{domain: remembered("testing", recordID, "mx.t.example"), changes: []admin.Change{{At: ago(2), Domain: "t.example", NewMode: "testing"}, {At: ago(91), Domain: "t.example", NewMode: "testing"}}}, "mode testing since " + date(ago(91)) + " (as the daemon here has seen)"},
		"testing, anew":    {"t.example", memory{domain: remembered("testing", recordID, "mx.t.example"), changes: []admin.Change{{At: ago(2), Domain: "t.example", NewMode: "testing"}, {At: ago(50), Domain: "t.example", NewMode: "enforce"}, {At: ago(91), Domain: "t.example", NewMode: "testing"}}}, ""},
		"of other domains": {"t.example", memory{domain: remembered("testing", recordID, "mx.t.example"), changes: []admin.Change{{At: ago(91), Domain: "m.example", NewMode: "testing"}}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			o := w.options()
			o.Memory = test.memory
			got := show(Check(t.Context(), w.Clients, []mtasts.Domain{domain(t, test.domain)}, o)...)
			if !strings.Contains(got, test.want) || test.want == "" && got != "" || strings.Contains(got, "\n") {
				t.Errorf("found:\n%s\nwant %q alone", got, test.want)
			}
		})
	}
}

// A host that serves many domains is asked once, and hosts and addresses at one connection
// at a time.
func TestOneConnection(t *testing.T) {
	t.Parallel()
	p := newProber(nil)
	var mu sync.Mutex
	busy, asked := map[string]int{}, map[string]int{}
	p.talk = func(_ context.Context, host string, at netip.AddrPort) session {
		count := func(n int) {
			mu.Lock()
			defer mu.Unlock()
			for _, what := range []string{host, at.String()} {
				if busy[what] += n; busy[what] > 1 {
					t.Errorf("%d connections to %s at the same time", busy[what], what)
				}
			}
		}
		count(1)
		for range 100 {
			runtime.Gosched()
		}
		count(-1)
		mu.Lock()
		defer mu.Unlock()
		asked[host+" "+at.String()]++
		return session{stage: connected}
	}
	var all sync.WaitGroup
	for i := range 200 {
		host, addr := fmt.Sprintf("mx%d.example", i%3), netip.AddrFrom4([4]byte{192, 0, 2, byte(i % 4)})
		all.Go(func() { p.probe(t.Context(), host, addr) })
	}
	all.Wait()
	for what, n := range asked {
		if n != 1 {
			t.Errorf("%s asked %d times, want once", what, n)
		}
	}
	if len(asked) != 3*4 || !p.answered.Load() {
		t.Errorf("%d hosts and addresses asked, want 12", len(asked))
	}
}

// Each finding is one line of printable ASCII, however hostile the publication.
func TestHostile(t *testing.T) {
	t.Parallel()
	const bad = "\x1b]0;x\x07\r\nevil\u202e\u00fc"
	w := newWorld(t)
	w.publish(t, "h.example", "version: STSv1\nmode: enforce\nmx: mx.h.example\nmax_age: 1209600\n"+bad+"\n")
	w.dns.Add(`h.example. 300 IN MX 5 \027\255evil.example.`, `_smtp._tls.h.example. 300 IN TXT "v=TLSRPTv1; rua=mailto:\027\200@x"`)
	w.publish(t, "r.example", "")
	w.hosts.Handle("r.example", resolvertest.HostRaw("HTTP/1.1 302 Found\r\nLocation: https://\x1b[31mx/\xff\r\nContent-Length: 0\r\n\r\n"))
	w.dns.Remove("_mta-sts.r.example", 16)
	w.dns.Add(`_mta-sts.r.example. 300 IN TXT "v=STSv1; id=1; \027=2"`, `_mta-sts.r.example. 300 IN TXT "\027v=STSv1"`)
	for _, r := range w.check(t, "h.example", "r.example") {
		if len(r.Findings) == 0 {
			t.Errorf("%s: nothing found", r.Domain)
		}
		for _, f := range r.Findings {
			if text := f.String(); strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("%q is not printable ASCII", text)
			}
		}
	}
}

// Hosts and addresses over the limits are reported as left out.
func TestLeftOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const hosts, addresses = dane.MaxHosts + 2, maxAddresses + 1
	w.publish(t, "many.example", strings.Replace(text("enforce", "many.example"), "mx: mx.", "mx: *.", 1))
	w.dns.Remove("many.example", 15)
	for i := range hosts {
		w.dns.Add(fmt.Sprintf("many.example. 300 IN MX %d mx%02d.many.example.", i, i))
		if i > 0 {
			w.dns.Add(fmt.Sprintf("mx%02d.many.example. 300 IN A 10.0.0.1", i)) // which is not connected to
		}
	}
	for i := range addresses {
		w.dns.Add(fmt.Sprintf("mx00.many.example. 300 IN A 10.0.1.%d", i))
	}
	got := show(w.check(t, "many.example")...)
	for _, want := range []string{"left-out: note: 2 more MX hosts not looked at", "left-out: note: mx00.many.example: 1 more address not looked at"} {
		if !strings.Contains(got, want) {
			t.Errorf("found:\n%s\nwant %s", got, want)
		}
	}
	w.dns.Add("many.example. 300 IN MX 99 mx.elsewhere.example.")
	if got, want := show(w.check(t, "many.example")...), "mx-not-in-policy: fault: the policy has no mx for mx.elsewhere.example"; !strings.Contains(got, want) {
		t.Errorf("found:\n%s\nwant %s", got, want)
	}
}

// Authorities give certificates of ever shorter lives, which are renewed later.
func TestEndsSoon(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, test := range []struct {
		life, left int // days
		want       bool
	}{
		{90, 22, false}, {90, 20, true}, {398, 22, false}, {398, 20, true}, {45, 16, false}, {45, 14, true}, {6, 3, false}, {6, 1, true}, {90, -1, true},
	} {
		end := now.Add(time.Duration(test.left) * day)
		cert := &x509.Certificate{NotBefore: end.Add(-time.Duration(test.life) * day), NotAfter: end}
		if got := endsSoon(cert, now); got != test.want {
			t.Errorf("%d of %d days left: %v, want %v", test.left, test.life, got, test.want)
		}
	}
}

// Without a route for a family, its addresses are not judged, and no fault is found.
func TestNoRoute(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publish(t, "one.example", text("enforce", "one.example"))
	w.publish(t, "both.example", text("enforce", "both.example"))
	w.dns.Add("mx.both.example. 300 IN A 127.0.0.2")
	for domainName, test := range map[string]struct {
		unroutable string
		want       string
	}{
		"one.example":  {"127.0.0.1", "no-route: not judged: mx.one.example: not looked at: this host has no route for IPv4."},
		"both.example": {"127.0.0.2", "no-route: note: mx.both.example [127.0.0.2]: not looked at: this host has no route for IPv4."},
	} {
		p := newProber(w.options().TestingOnlyPort)
		p.talk = func(ctx context.Context, host string, at netip.AddrPort) session {
			if at.Addr() == netip.MustParseAddr(test.unroutable) {
				return session{err: readable(&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ENETUNREACH)})}
			}
			return talk(ctx, host, at)
		}
		l := newLook(w.Clients, Options{}, p, domain(t, domainName))
		l.gather(t.Context())
		if got := show(l.judge(p.port25(t.Context(), w.Clients, ""))); !strings.HasPrefix(got, test.want) || strings.Contains(got, "\n") {
			t.Errorf("found:\n%s\nwant %s", got, test.want)
		}
	}
}

// A host without authorities judges no certificate, and blames no publisher.
func TestNoAuthorities(t *testing.T) {
	w := newWorld(t)
	w.publish(t, "good.example", text("enforce", "good.example"))
	t.Setenv("SSL_CERT_FILE", "/missing")
	t.Setenv("SSL_CERT_DIR", "/missing")
	var err error
	if w.Authorities, err = authorities.Open(""); err != nil {
		t.Fatal(err)
	}
	const want = "authorities: not judged: no certificate can be verified: this host has no certificate authorities. Install the package ca-certificates."
	if got := show(w.check(t, "good.example")...); got != want {
		t.Errorf("found:\n%s\nwant %s", got, want)
	}
}
