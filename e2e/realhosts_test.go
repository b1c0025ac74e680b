package e2e

import (
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"mta-sts-daemon/resolver/resolvertest"
)

// nginx is a policy host of the real world for any number of domains. Its
// addresses differ in how they serve.
const (
	nginxAddr = "127.0.3.1"
	// As servers do that are older than these cipher suites.
	nginxCBCAddr = "127.0.3.2"
	// No TLS 1.2.
	nginxOldAddr = "127.0.3.3"
	// Neither Content-Length nor chunks: the end of the connection ends the policy.
	nginxEndlessAddr = "127.0.3.4"
)

// nginxConf serves the policy of each name that certificate is valid for.
func nginxConf() string {
	const policies = `location = /.well-known/mta-sts.txt { default_type text/plain; %s }`
	server := func(addr, more, location string) string {
		return fmt.Sprintf("server { listen %s:443 ssl; %s\n%s\n}\n", addr, more, fmt.Sprintf(policies, location))
	}
	return `
daemon off;
user root;
pid /tmp/nginx.pid;
error_log stderr;
events {}
http {
	access_log off;
	root /srv;
	ssl_certificate /etc/nginx/chain.pem;
	ssl_certificate_key /etc/nginx/key.pem;
` +
		server(nginxAddr, "", "") +
		server(nginxCBCAddr, "ssl_protocols TLSv1.2; ssl_ciphers ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA384;", "") +
		server(nginxOldAddr, "ssl_protocols TLSv1.1; ssl_ciphers DEFAULT@SECLEVEL=0;", "") +
		server(nginxEndlessAddr, "ssl_protocols TLSv1.2 TLSv1.3; chunked_transfer_encoding off;", "proxy_pass http://unix:/tmp/upstream;") +
		// A text that could be changed on its way has no length.
		"server { listen unix:/tmp/upstream; chunked_transfer_encoding off; location / { default_type text/plain; sub_filter x x; sub_filter_types *; } }\n}\n"
}

// startNginx starts nginx with a certificate for the policy hosts of domains, and
// a policy that names their MX hosts.
func startNginx(t *testing.T, ca *resolvertest.CA, domains ...string) (text string) {
	t.Helper()
	var names, mx []string
	for _, d := range domains {
		names, mx = append(names, "mta-sts."+d), append(mx, "mx."+d)
	}
	text = policy("enforce", mx...)
	cert := ca.Certificate(resolvertest.Leaf{Names: names})
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	r := newRoot(t, bookworm)
	r.write(t, "etc/nginx/chain.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})))
	r.write(t, "etc/nginx/key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
	r.write(t, "etc/nginx/nginx.conf", nginxConf())
	r.write(t, "srv/.well-known/mta-sts.txt", text)
	r.write(t, "var/lib/nginx/.keep", "")
	r.write(t, "var/log/nginx/.keep", "")
	nginx := startProcess(t, r.command("/usr/sbin/nginx"))
	for _, addr := range []string{nginxAddr, nginxCBCAddr, nginxOldAddr, nginxEndlessAddr} {
		nginx.awaitListening(t, addr+":443")
	}
	nginx.stopLater(t)
	return text
}

// startRelay passes the TLS records of connections at addr on to target, and back,
// while pass returns true for them; else it closes both connections.
func startRelay(t *testing.T, addr, target string, pass func(record []byte) bool) {
	t.Helper()
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	relay := func(to, from net.Conn) {
		defer to.Close()
		defer from.Close()
		for {
			record := make([]byte, tlsHeaderLen, 1<<15)
			if _, err := io.ReadFull(from, record); err != nil {
				return
			}
			record = record[:tlsHeaderLen+int(binary.BigEndian.Uint16(record[3:]))]
			if _, err := io.ReadFull(from, record[tlsHeaderLen:]); err != nil || !pass(record) {
				return
			}
			if _, err := to.Write(record); err != nil {
				return
			}
		}
	}
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // the test is over
			}
			onward, err := net.Dial("tcp", target)
			if err != nil {
				conn.Close()
				continue
			}
			running.Go(func() { relay(onward, conn) })
			running.Go(func() { relay(conn, onward) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		running.Wait()
	})
}

const tlsHeaderLen = 5

// passShort refuses a ClientHello over a segment's size, as some middleboxes do.
func passShort(record []byte) bool {
	const handshake, clientHello, longest = 22, 1, 1300
	return record[0] != handshake || record[tlsHeaderLen] != clientHello || len(record) <= longest
}

// passNoAlert cuts a connection at its close_notify. In TLS 1.3 nothing else that is
// encrypted is as short as an alert: two bytes with their type and tag.
func passNoAlert(record []byte) bool {
	const alert, encrypted, alertLen = 21, 23, 2 + 1 + 16
	return record[0] != alert && (record[0] != encrypted || len(record) != tlsHeaderLen+alertLen)
}

// TestRealPolicyHosts fetches from nginx, because a fake may behave differently
// from real servers.
func TestRealPolicyHosts(t *testing.T) {
	w := newBareWorld(t)
	domains := map[string]string{ // and where their policy hosts are
		"plain.test":     nginxAddr,
		"cbc.test":       nginxCBCAddr,
		"old.test":       nginxOldAddr,
		"endless.test":   nginxEndlessAddr,
		"middlebox.test": "127.0.3.5",
		"cut.test":       "127.0.3.6",
	}
	var names []string
	for domain, addr := range domains {
		names = append(names, domain)
		w.addMX(domain, "mx."+domain, "127.0.1.1")
		w.zone.Add(fmt.Sprintf(`_mta-sts.%s. 300 IN TXT "v=STSv1; id=1"`, domain), fmt.Sprintf("mta-sts.%s. 300 IN A %s", domain, addr))
	}
	startNginx(t, w.ca, names...)
	startRelay(t, domains["middlebox.test"]+":443", nginxAddr+":443", passShort)
	startRelay(t, domains["cut.test"]+":443", nginxEndlessAddr+":443", passNoAlert)
	d := startDaemon(t, w, askAuthority)
	d.stopLater(t)
	for domain, want := range map[string]string{
		"plain.test":     "",
		"endless.test":   "",
		"middlebox.test": "",
		"cbc.test":       "offers only RSA key exchange or obsolete CBC cipher suites",
		"old.test":       "the host speaks no TLS 1.2 or newer",
		"cut.test":       "closed without a TLS close_notify",
	} {
		out, status := query(t, d, domain)
		if want == "" && (status != 0 || !strings.Contains(out, "OK secure match=")) || want != "" && !strings.Contains(out, want) {
			t.Errorf("%s: exit status %d, want %q:\n%s", domain, status, want, out)
		}
	}
}

// TestAuthoritiesChange has the system's authorities gain one and lose it under a
// running daemon, which reads them again at a reload.
func TestAuthoritiesChange(t *testing.T) {
	const bundle = "etc/ssl/certs/ca-certificates.crt"
	w := newBareWorld(t)
	other := resolvertest.NewCA(t)
	for _, domain := range []string{"one.test", "two.test", "three.test", "four.test"} {
		w.addMX(domain, "mx."+domain, "127.0.1.1")
		w.publish(domain, enforce(domain))
	}
	system := `fetch: {allow_networks: [127.0.0.0/8]}`
	r := newRoot(t, bookworm)
	d := startDaemonIn(t, w, r, askAuthority, system)
	d.stopLater(t)
	d.awaitSaid(t, `msg="No certificate authorities`, 1)
	expect := func(domain, want string) {
		t.Helper()
		if answer, err := askOnce(domain); err != nil || !strings.HasPrefix(answer, want) {
			t.Errorf("%s: %q, %v, want %q", domain, answer, err, want)
		}
	}
	expect("one.test", "NOTFOUND")
	if out, _ := d.root.command(daemonPath, "check-config", "--config", daemonConfig).CombinedOutput(); !strings.Contains(string(out), "Warning: no certificate authorities on this host") {
		t.Errorf("check-config says nothing of it:\n%s", out)
	}

	r.write(t, bundle, string(w.ca.PEM()))
	d.reload(t, askAuthority, system)
	expect("two.test", "OK secure match=mx.two.test")
	r.write(t, bundle, string(other.PEM()))
	d.reload(t, askAuthority, system)
	expect("three.test", "NOTFOUND")
	r.write(t, bundle, string(other.PEM())+string(w.ca.PEM()))
	d.reload(t, askAuthority, system)
	expect("four.test", "OK secure match=mx.four.test")
}
