package policyhost

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mta-sts-daemon/resolver/resolvertest"
)

func TestInspect(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		host     resolvertest.Behaviour
		response *Response
		subject  string // a DNS name in the certificate
		refused  string // why the address is of no use
		fails    bool
	}{
		"good":         {host: resolvertest.HostPolicy(testPolicy), response: &Response{Status: 200, ContentType: "text/plain", Size: len(testPolicy)}, subject: testHost},
		"not found":    {host: resolvertest.HostStatus(http.StatusNotFound, "none"), response: &Response{Status: 404, ContentType: "text/plain", Size: 0}, subject: testHost, fails: true},
		"web page":     {host: resolvertest.HostContentType("text/html", "<html>"), response: &Response{Status: 200, ContentType: "text/html", Size: 0}, subject: testHost, fails: true},
		"cut short":    {host: resolvertest.HostShortBody(testPolicy), response: &Response{Status: 200, ContentType: "text/plain", Size: len(testPolicy)}, subject: testHost, fails: true},
		"wrong name":   {host: resolvertest.HostWrongName(testPolicy), subject: "other.example.com", refused: "not " + testHost, fails: true},
		"no handshake": {host: resolvertest.HostCloses(), refused: "connection closed in the TLS handshake", fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := resolvertest.NewCA(t)
			hosts := resolvertest.StartPolicyHosts(t, ca)
			hosts.Handle(testDomain, c.host)
			o := options(ca, hosts)
			o.Addresses = addresses("10.0.0.1", "127.0.0.1")
			seen, err := New(o).Inspect(t.Context(), domain(t, testDomain))
			if (err != nil) != c.fails || (seen.Text == testPolicy) == c.fails {
				t.Errorf("text %q, error %v", seen.Text, err)
			}
			if diff := cmp.Diff(c.response, seen.Response); diff != "" {
				t.Errorf("response (-want +got):\n%s", diff)
			}
			if len(seen.Attempts) != 2 {
				t.Fatalf("attempts %+v, want one at each address", seen.Attempts)
			}
			private, host := seen.Attempts[0], seen.Attempts[1]
			if private.Err == nil || !strings.Contains(private.Err.Error(), "private use") || private.Chain != nil {
				t.Errorf("at the private address: %+v", private)
			}
			if c.refused == "" && host.Err != nil || c.refused != "" && (host.Err == nil || !strings.Contains(host.Err.Error(), c.refused)) {
				t.Errorf("at the host: error %v, want %q", host.Err, c.refused)
			}
			var names []string
			if len(host.Chain) > 0 {
				names = host.Chain[0].DNSNames
			}
			if got := strings.Join(names, " "); got != c.subject {
				t.Errorf("certificate for %q, want %q", got, c.subject)
			}
		})
	}
}

// At and WithPath make a client of their own: the other is as before.
func TestAtAndWithPath(t *testing.T) {
	t.Parallel()
	ca := resolvertest.NewCA(t)
	hosts := resolvertest.StartPolicyHosts(t, ca)
	hosts.Serve(testDomain, testPolicy)
	o := options(ca, hosts)
	o.Addresses = addresses("10.0.0.1")
	c := New(o)
	d := domain(t, testDomain)
	if text, err := c.At(hosts.Addr().Addr()).Fetch(t.Context(), d); err != nil || text != testPolicy {
		t.Errorf("at the host: %q, %v", text, err)
	}
	_, err := c.At(hosts.Addr().Addr()).WithPath("/mta-sts.txt").Fetch(t.Context(), d)
	checkFetchError(t, err, ResultFetchError, "status 404 Not Found")
	_, err = c.At(netip.MustParseAddr("192.168.0.1")).Fetch(t.Context(), d)
	checkFetchError(t, err, ResultFetchError, "192.168.0.1 is not connected to")
	_, err = c.Fetch(t.Context(), d)
	checkFetchError(t, err, ResultFetchError, "10.0.0.1 is not connected to")
}
