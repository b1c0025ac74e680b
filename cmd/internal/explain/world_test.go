package explain

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mta-sts-daemon/cmd/internal/clients"
	"mta-sts-daemon/cmd/internal/layout"
	"mta-sts-daemon/resolver/dnsclient"
	"mta-sts-daemon/resolver/policyhost"
	"mta-sts-daemon/resolver/resolvertest"
)

var update = flag.Bool("update", false, "write what is printed into testdata")

// errNoDANE keeps DANE out of the tests that are not about it.
var errNoDANE = errors.New("dns.dane is off")

// world is a resolver and policy hosts that a test fills.
type world struct {
	dns   *resolvertest.DNS
	hosts *resolvertest.PolicyHosts
	clients.Clients
}

func newWorld(t *testing.T) *world {
	t.Helper()
	ca := resolvertest.NewCA(t)
	w := &world{dns: resolvertest.StartDNS(t), hosts: resolvertest.StartPolicyHosts(t, ca)}
	w.DNS = dnsclient.New(dnsclient.Options{Servers: []netip.AddrPort{w.dns.Addr()}})
	w.Policies = policyhost.New(policyhost.Options{
		Addresses: func(ctx context.Context, host string) ([]netip.Addr, error) {
			answer, err := w.DNS.Addresses(ctx, host)
			return answer.Records, err
		},
		Roots:           ca.Pool,
		AllowNetworks:   []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		TestingOnlyPort: w.hosts.Addr().Port(),
	})
	return w
}

// publish gives a domain a record, a policy host that behaves so and one MX host.
func (w *world) publish(domain string, b resolvertest.Behaviour) {
	w.dns.Publish(domain, "20260101")
	w.dns.Add(domain+". 300 IN MX 10 mx."+domain+".", "mx."+domain+". 300 IN A 192.0.2.25")
	w.hosts.Handle(domain, b)
}

// enforce is a policy that names a domain's one MX host.
func enforce(domain string) string {
	return "version: STSv1\nmode: enforce\nmx: mx." + domain + "\nmax_age: 1209600\n"
}

// look calls Look and returns its output for a page that is too wide to wrap.
func (w *world) look(t *testing.T, key string, o Options) (*Report, string) {
	t.Helper()
	r, ok := Look(t.Context(), w.Clients, key, o)
	if !ok {
		t.Fatalf("%s is no next hop", key)
	}
	return r, print(t, r, 1000)
}

func print(t *testing.T, r *Report, width int) string {
	t.Helper()
	var out bytes.Buffer
	if err := r.Print(layout.Page{Writer: &out, Width: width}); err != nil {
		t.Fatal(err)
	}
	return steady(out.String())
}

// steady replaces text that differs between runs by fixed words.
func steady(text string) string {
	for _, r := range []struct{ from, to string }{
		{`20\d\d-\d\d-\d\d \d\d:\d\d UTC`, "DATE UTC"},
		{`20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ`, "DATE"},
		{`\b3\d\d days`, "SOME days"},
		{`("days_left": )3\d\d`, "${1}300"},
		{`(127\.0\.0\.1):\d+`, "$1:PORT"},
	} {
		text = regexp.MustCompile(r.from).ReplaceAllString(text, r.to)
	}
	return text
}

// golden holds text against a file of testdata.
func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}
