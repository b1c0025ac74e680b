package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"mta-sts-daemon/e2e/internal/isolated"
)

// stsResolver is Debian's postfix-mta-sts-resolver.
func stsResolver() isolated.Tree {
	return isolated.Tree{
		Suite: string(bookworm), Name: "sts-resolver", Variant: "extract", Packages: "postfix-mta-sts-resolver,libc-bin",
		Prepare: func(dir string) error {
			if out, err := chrooted(dir, "/sbin/ldconfig").CombinedOutput(); err != nil {
				return fmt.Errorf("ldconfig: %w\n%s", err, out)
			}
			return nil
		},
		Optional: true,
	}
}

// startSTSResolver starts the other program at the address that both have by default.
func startSTSResolver(t *testing.T, w *world) *process {
	t.Helper()
	r := &root{dir: stsResolver().Layer(t)}
	dev := filepath.Join(r.dir, "dev")
	if err := os.MkdirAll(dev, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("/dev", dev, "", unix.MS_BIND, ""); err != nil {
		t.Fatalf("mounting %s: %v", dev, err)
	}
	r.write(t, "etc/resolv.conf", "nameserver "+resolverAddr.Addr().String()+"\n")
	r.write(t, "etc/ca.pem", string(w.ca.PEM()))
	r.write(t, theirConfig, "host: 127.0.0.1\nport: 8461\ndefault_zone: {strict_testing: false}\n")
	cmd := r.command("/usr/bin/mta-sts-daemon", "--config", "/"+theirConfig)
	cmd.Env = append(cmd.Env, "SSL_CERT_FILE=/etc/ca.pem")
	p := startProcess(t, cmd)
	p.awaitListening(t, daemonAddr)
	return p
}

const theirConfig = "etc/mta-sts-daemon.yml"

// TestSwitch moves Postfix from postfix-mta-sts-resolver to the daemon while mail is sent all
// the time, in the order that README gives: both run, main.cf changes, the other one stops. No message
// is deferred and none goes out without the policy.
func TestSwitch(t *testing.T) {
	w := newWorld(t)
	if reason := isolated.LeftOut(stsResolver().Name); reason != "" {
		t.Skip("left out, moving from postfix-mta-sts-resolver: " + reason)
	}
	const newAddr = "127.0.0.1:8642"
	domains := []string{"one.test", "two.test", "three.test"}
	for i, domain := range domains {
		w.publish(domain, enforce(domain))
		w.openMX(t, domain, i+1, goodCertificate)
	}
	w.publish("testing.test", onlyTesting("testing.test"))
	old := startSTSResolver(t, w)
	p := startPostfix(t, w, bookworm)
	mail := startMail(t, p, domains)
	mail.awaitMore(t)

	d := startDaemon(t, w, fmt.Sprintf("listen: {socketmap: [%q]}", newAddr), controlled)
	d.stopLater(t)
	d.root.write(t, "domains", strings.Join(append(domains, "testing.test", "none.test"), "\n")+"\n")
	compared := run(t, d.root.command(daemonPath, "warm", "--config", daemonConfig, "--compare", daemonAddr, "/domains"))
	if compared != "5 domains compared: 5 equal, 0 different, 0 could not be asked at both.\n" {
		t.Errorf("warm --compare:\n%s", compared)
	}
	run(t, p.root.command("/usr/sbin/postconf", "-e", "smtp_tls_policy_maps = socketmap:inet:"+newAddr+":postfix"))
	run(t, p.root.command("/usr/sbin/postfix", "reload"))
	mail.awaitMore(t)
	old.stop(t)
	mail.awaitMore(t)
	sent := mail.stop(t)
	isolated.Eventually(t, fmt.Sprintf("%d messages delivered", sent), func() bool {
		// pickup(8) misses mail that comes while Postfix reloads.
		p.flush(t)
		return p.count(" status=sent") == sent
	})
	if n := p.count(" status=deferred"); n > 0 {
		t.Errorf("%d messages of %d were deferred", n, sent)
	}
	if lookups, _ := d.said.snapshot(); containing(lookups, "msg=Lookup domain=one.test") == 0 {
		t.Error("Postfix has not asked the daemon")
	}
	for _, word := range []string{"Untrusted TLS", "Anonymous TLS", "Trusted TLS"} {
		if n := p.count(word); n > 0 {
			t.Errorf("%d deliveries with %q", n, word)
		}
	}
	t.Logf("%d messages", sent)
}

// count returns how many lines of Postfix's log contain a text.
func (p *postfix) count(text string) int {
	lines, _ := p.master.said.snapshot()
	return containing(lines, text)
}

// mail is a stream of messages, one after the other.
type mail struct {
	p    *postfix
	sent atomic.Int32
	end  chan struct{}
	done chan error
}

func startMail(t *testing.T, p *postfix, domains []string) *mail {
	t.Helper()
	m := &mail{p: p, end: make(chan struct{}), done: make(chan error, 1)}
	go func() {
		for {
			select {
			case <-m.end:
				m.done <- nil
				return
			default:
			}
			n := int(m.sent.Load())
			cmd := p.root.command("/usr/sbin/sendmail", "-f", "sender@"+senderHost, fmt.Sprintf("user%d@%s", n, domains[n%len(domains)]))
			cmd.Stdin = strings.NewReader("Subject: under load\n\nHello.\n")
			if out, err := cmd.CombinedOutput(); err != nil {
				m.done <- fmt.Errorf("sendmail: %w\n%s", err, out)
				return
			}
			m.sent.Add(1)
		}
	}()
	return m
}

// awaitMore returns when further messages have been delivered.
func (m *mail) awaitMore(t *testing.T) {
	t.Helper()
	before := m.p.count(" status=sent")
	isolated.Eventually(t, "more messages delivered", func() bool { return m.p.count(" status=sent") >= before+20 })
}

// stop ends the stream and returns the number of messages.
func (m *mail) stop(t *testing.T) int {
	t.Helper()
	close(m.end)
	if err := <-m.done; err != nil {
		t.Fatal(err)
	}
	return int(m.sent.Load())
}
