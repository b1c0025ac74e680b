package resolvertest_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"mta-sts-daemon/resolver/resolvertest"
)

const testPolicy = "version: STSv1\nmode: enforce\nmx: mx.example.com\nmax_age: 86400\n"

// get asks hosts for domain's policy and makes its own the mistakes of config
// and of a client that follows redirects.
func get(t *testing.T, hosts *resolvertest.PolicyHosts, config *tls.Config, domain string) (string, error) {
	t.Helper()
	transport := &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   config,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, hosts.Addr().String())
		},
	}
	response, err := (&http.Client{Transport: transport}).Get("https://mta-sts." + domain + "/.well-known/mta-sts.txt")
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return string(text), err
}

// Each ill-behaved host has one fault only: a client that overlooks the fault
// gets the policy. So a test that gets no policy has tested that fault.
func TestHostsAreIllInOneWay(t *testing.T) {
	t.Parallel()
	for name, b := range map[string]resolvertest.Behaviour{
		"redirect":            resolvertest.HostRedirect(302, "good.example"),
		"status 404":          resolvertest.HostStatus(404, testPolicy),
		"status 206":          resolvertest.HostStatus(206, testPolicy),
		"no content type":     resolvertest.HostContentType("", testPolicy),
		"HTML":                resolvertest.HostContentType("text/html", testPolicy),
		"gzip":                resolvertest.HostGzip(testPolicy),
		"chunked":             resolvertest.HostChunked(testPolicy),
		"wrong name":          resolvertest.HostWrongName(testPolicy),
		"name in common name": resolvertest.HostNameInCommonName(testPolicy),
		"expired":             resolvertest.HostExpired(testPolicy),
		"self-signed":         resolvertest.HostSelfSigned(testPolicy),
		"TLS 1.1":             resolvertest.HostTLS11(testPolicy),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hosts := resolvertest.StartPolicyHosts(t, resolvertest.NewCA(t))
			hosts.Serve("good.example", testPolicy)
			hosts.Handle("ill.example", b)
			lax := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10}
			text, err := get(t, hosts, lax, "ill.example")
			if err != nil || text != testPolicy {
				t.Errorf("got %q, %v", text, err)
			}
			if n := hosts.Requests("ill.example"); n != 1 {
				t.Errorf("%d requests counted, want 1", n)
			}
		})
	}
}

func TestPolicyHostsChange(t *testing.T) {
	t.Parallel()
	ca := resolvertest.NewCA(t)
	hosts := resolvertest.StartPolicyHosts(t, ca)
	strict := &tls.Config{RootCAs: ca.Pool()}
	if text, err := get(t, hosts, strict, "a.example"); err == nil {
		t.Errorf("an unknown host serves %q", text)
	}
	for _, want := range []string{"one", "two"} {
		hosts.Serve("a.example", want)
		if text, err := get(t, hosts, strict, "a.example"); err != nil || text != want {
			t.Errorf("got %q, %v, want %q", text, err, want)
		}
	}
	if n := hosts.Requests("a.example"); n != 2 {
		t.Errorf("%d requests counted, want 2", n)
	}
}

func TestPaddedPolicy(t *testing.T) {
	t.Parallel()
	for _, size := range []int{100, 64 << 10} {
		if got := len(resolvertest.PaddedPolicy(size)); got != size {
			t.Errorf("%d octets, want %d", got, size)
		}
	}
}

func TestCA(t *testing.T) {
	t.Parallel()
	ca := resolvertest.NewCA(t)
	fromPEM := x509.NewCertPool()
	if !fromPEM.AppendCertsFromPEM(ca.PEM()) {
		t.Fatal("PEM holds no certificate")
	}
	const name = "mx.example.com"
	for _, c := range []struct {
		what  string
		leaf  resolvertest.Leaf
		roots *x509.CertPool
		valid bool
	}{
		{"good", resolvertest.Leaf{Names: []string{name}}, ca.Pool(), true},
		{"good, by PEM", resolvertest.Leaf{Names: []string{name}}, fromPEM, true},
		{"several names", resolvertest.Leaf{Names: []string{"a.example", name}}, ca.Pool(), true},
		{"other authority", resolvertest.Leaf{Names: []string{name}}, resolvertest.NewCA(t).Pool(), false},
		{"wrong name", resolvertest.Leaf{Names: []string{"a.example"}}, ca.Pool(), false},
		{"common name", resolvertest.Leaf{CommonName: name}, ca.Pool(), false},
		{"expired", resolvertest.Leaf{Names: []string{name}, NotAfter: time.Now().Add(-time.Hour)}, ca.Pool(), false},
		{"self-signed", resolvertest.Leaf{Names: []string{name}, SelfSigned: true}, ca.Pool(), false},
	} {
		cert := ca.Certificate(c.leaf)
		_, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: c.roots, DNSName: name})
		if (err == nil) != c.valid {
			t.Errorf("%s: %v, want it valid: %v", c.what, err, c.valid)
		}
		if again := ca.Certificate(c.leaf); again.Leaf != cert.Leaf {
			t.Errorf("%s: another certificate the second time", c.what)
		}
	}
}
