package policyhost

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/resolvertest"
)

const (
	testDomain = "example.com"
	testHost   = "mta-sts.example.com"
	testPolicy = "version: STSv1\nmode: enforce\nmx: mx.example.com\nmax_age: 86400\n"
)

var loopback = netip.MustParsePrefix("127.0.0.0/8")

func domain(tb testing.TB, s string) mtasts.Domain {
	tb.Helper()
	d, err := mtasts.ParseDomain(s)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// addresses answers each lookup by the same addresses.
func addresses(addrs ...string) func(context.Context, string) ([]netip.Addr, error) {
	parsed := make([]netip.Addr, len(addrs))
	for i, a := range addrs {
		parsed[i] = netip.MustParseAddr(a)
	}
	return func(context.Context, string) ([]netip.Addr, error) { return parsed, nil }
}

// options are those of a client that reaches hosts, and nothing but hosts.
func options(ca *resolvertest.CA, hosts *resolvertest.PolicyHosts) Options {
	return Options{
		Addresses:       addresses(hosts.Addr().Addr().String()),
		Roots:           ca.Pool,
		AllowNetworks:   []netip.Prefix{loopback},
		TestingOnlyPort: hosts.Addr().Port(),
		Timeout:         20 * time.Second, // well over what any good fetch takes here
	}
}

// checkFetchError checks an error's type, Result and message.
func checkFetchError(t *testing.T, err error, result Result, message string) {
	t.Helper()
	var fetch *FetchError
	if !errors.As(err, &fetch) {
		t.Fatalf("error %v, want a *FetchError", err)
	}
	if fetch.Host != testHost || fetch.Result != result {
		t.Errorf("host %q, result %q, want %q, %q (%v)", fetch.Host, fetch.Result, testHost, result, err)
	}
	if !strings.Contains(err.Error(), message) || message == "" {
		t.Errorf("message %q, want one with %q", err, message)
	}
	if !strings.HasPrefix(err.Error(), "policy host "+testHost+": ") {
		t.Errorf("message %q does not name the policy host", err)
	}
}

// withLength is a response with that Content-Length.
func withLength(length string) string {
	return "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " + length + "\r\n\r\ntext"
}

func TestFetchGood(t *testing.T) {
	t.Parallel()
	longest := resolvertest.PaddedPolicy(mtasts.MaxPolicyLen)
	for name, c := range map[string]struct {
		host resolvertest.Behaviour
		want string
	}{
		"policy":                {resolvertest.HostPolicy(testPolicy), testPolicy},
		"empty":                 {resolvertest.HostPolicy(""), ""},
		"any bytes":             {resolvertest.HostPolicy("\x00\xff\r\n"), "\x00\xff\r\n"},
		"longest":               {resolvertest.HostPolicy(longest), longest},
		"chunked":               {resolvertest.HostChunked(testPolicy), testPolicy},
		"longest chunked":       {resolvertest.HostChunked(longest), longest},
		"slow":                  {resolvertest.HostDelay(50*time.Millisecond, testPolicy), testPolicy},
		"media type in caps":    {resolvertest.HostContentType("Text/PLAIN", testPolicy), testPolicy},
		"charset":               {resolvertest.HostContentType("text/plain; charset=utf-8", testPolicy), testPolicy},
		"broken parameter":      {resolvertest.HostContentType(`text/plain; charset=broken"`, testPolicy), testPolicy},
		"no parameter at all":   {resolvertest.HostContentType("text/plain ;", testPolicy), testPolicy},
		"until it closes":       {resolvertest.HostRaw("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n" + testPolicy), testPolicy},
		"until it closes, 1.1":  {resolvertest.HostRaw("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n" + testPolicy), testPolicy},
		"equal lengths":         {resolvertest.HostRaw(withLength("4, 4")), "text"},
		"equal length lines":    {resolvertest.HostRaw(withLength("4\r\nContent-Length:4")), "text"},
		"length in caps":        {resolvertest.HostRaw("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nCONTENT-LENGTH: 4 ,4\t, 4\r\n\r\ntext"), "text"},
		"cut behind its length": {resolvertest.HostCut(withLength("4")), "text"},
		"cut behind the chunks": {resolvertest.HostCut("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ntext\r\n0\r\n\r\n"), "text"},
		"interim responses": {resolvertest.HostRaw("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" +
			"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n" + testPolicy), testPolicy},
		"identity coding": {resolvertest.HostRaw("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Encoding: identity\r\n\r\n" + testPolicy), testPolicy},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := resolvertest.NewCA(t)
			hosts := resolvertest.StartPolicyHosts(t, ca)
			hosts.Handle(testDomain, c.host)
			got, err := New(options(ca, hosts)).Fetch(t.Context(), domain(t, testDomain))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("text (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFetchBad(t *testing.T) {
	t.Parallel()
	const fault, pki = ResultFetchError, ResultWebPKIInvalid
	tooLong := resolvertest.PaddedPolicy(mtasts.MaxPolicyLen + 1)
	for name, c := range map[string]struct {
		host    resolvertest.Behaviour
		result  Result
		message string
	}{
		"redirect 301":      {resolvertest.HostRedirect(301, "good.example"), fault, "status 301 Moved Permanently; RFC 8461 forbids"},
		"redirect 302":      {resolvertest.HostRedirect(302, "good.example"), fault, "status 302"},
		"redirect 308":      {resolvertest.HostRedirect(308, "good.example"), fault, "status 308"},
		"switch protocols":  {resolvertest.HostStatus(101, testPolicy), fault, "status 101"},
		"created":           {resolvertest.HostStatus(201, testPolicy), fault, "status 201 Created"},
		"no content":        {resolvertest.HostStatus(204, ""), fault, "status 204 No Content"},
		"partial content":   {resolvertest.HostStatus(206, testPolicy), fault, "status 206"},
		"not found":         {resolvertest.HostStatus(404, testPolicy), fault, "status 404 Not Found"},
		"server error":      {resolvertest.HostStatus(500, testPolicy), fault, "status 500"},
		"unknown status":    {resolvertest.HostStatus(299, testPolicy), fault, "status 299"},
		"wrong name":        {resolvertest.HostWrongName(testPolicy), pki, "valid for other.example.com, not " + testHost},
		"common name alone": {resolvertest.HostNameInCommonName(testPolicy), pki, "legacy Common Name"},
		"expired":           {resolvertest.HostExpired(testPolicy), pki, "certificate has expired"},
		"self-signed":       {resolvertest.HostSelfSigned(testPolicy), pki, "unknown authority"},
		"TLS 1.1":           {resolvertest.HostTLS11(testPolicy), fault, "the host speaks no TLS 1.2 or newer: remote error: tls: protocol version not supported"},
		"closes":            {resolvertest.HostCloses(), fault, "connection closed in the TLS handshake"},
		"no content type":   {resolvertest.HostContentType("", testPolicy), fault, "no Content-Type"},
		"HTML":              {resolvertest.HostContentType("text/html", testPolicy), fault, `Content-Type "text/html"`},
		"text/plainer":      {resolvertest.HostContentType("text/plainer", testPolicy), fault, `Content-Type "text/plainer"`},
		"bytes in type":     {resolvertest.HostContentType("\xff\u00e9"+strings.Repeat("x", 999), testPolicy), fault, `Content-Type "\xff\u00e9xxx`},
		"gzip":              {resolvertest.HostGzip(testPolicy), fault, `Content-Encoding "gzip"`},
		"two codings": {resolvertest.HostRaw("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Encoding: gzip, identity\r\n\r\n"),
			fault, `Content-Encoding "gzip, identity"`},
		"gzip in transfer": {resolvertest.HostRaw("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
			fault, "unsupported transfer encoding"},
		"oversized":         {resolvertest.HostPolicy(tooLong), fault, "policy longer than 65536 bytes"},
		"oversized chunked": {resolvertest.HostChunked(tooLong), fault, "policy longer than 65536 bytes"},
		"endless body":      {resolvertest.HostEndlessBody(), fault, "policy longer than 65536 bytes"},
		"endless header":    {resolvertest.HostEndlessHeader(), fault, "response header longer than 32768 bytes"},
		"endless line":      {resolvertest.HostRaw("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxHeaderLen)), fault, "response header longer than 32768 bytes"},
		"endless interim":   {resolvertest.HostEndlessInterim(), fault, "response header longer than 32768 bytes"},
		"short body":        {resolvertest.HostShortBody(testPolicy), fault, fmt.Sprintf("policy cut short after %d bytes: unexpected EOF", len(testPolicy))},
		"cut": {resolvertest.HostCut("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n" + testPolicy), fault,
			fmt.Sprintf("policy may be cut short after %d bytes: the response has no Content-Length, and the connection was closed without a TLS close_notify", len(testPolicy))},
		"cut, 1.0":         {resolvertest.HostCut("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n" + testPolicy), fault, "without a TLS close_notify"},
		"cut, empty":       {resolvertest.HostCut("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"), fault, "after 0 bytes: the response has no Content-Length"},
		"unequal lengths":  {resolvertest.HostRaw(withLength("4, 5")), fault, "Content-Length"},
		"lengths, one not": {resolvertest.HostRaw(withLength("4,")), fault, "Content-Length"},
		"lengths of words": {resolvertest.HostRaw(withLength("x, x")), fault, "Content-Length"},
		"two lengths":      {resolvertest.HostRaw(withLength("4\r\nContent-Length: 5")), fault, "Content-Length"},
		"RSA key exchange": {resolvertest.HostOldCipherSuites(testPolicy, tls.TLS_RSA_WITH_AES_128_GCM_SHA256), fault, "offers only RSA key exchange or obsolete CBC cipher suites: remote error: tls: handshake failure"},
		"short header":     {resolvertest.HostRaw("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"), fault, "closed before the end of the response header"},
		"nothing":          {resolvertest.HostRaw(""), fault, "closed before the end of the response header"},
		"no HTTP":          {resolvertest.HostRaw("\xff\x00\u00e9\n\r\n\r\n"), fault, `\xff`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := resolvertest.NewCA(t)
			hosts := resolvertest.StartPolicyHosts(t, ca)
			hosts.Handle(testDomain, c.host)
			hosts.Serve("good.example", testPolicy)
			text, err := New(options(ca, hosts)).Fetch(t.Context(), domain(t, testDomain))
			if err == nil {
				t.Fatalf("no error, but %.100q", text)
			}
			checkFetchError(t, err, c.result, c.message)
			checkPrintable(t, err)
			if n := hosts.Requests("good.example"); n != 0 {
				t.Errorf("%d requests to the host redirected to", n)
			}
			if n := hosts.Requests(testDomain); n > 1 {
				t.Errorf("%d requests, want one at most", n)
			}
		})
	}
}

func checkPrintable(t *testing.T, err error) {
	t.Helper()
	for _, c := range []byte(err.Error()) {
		if c < ' ' || c > '~' {
			t.Fatalf("message is not printable ASCII: %q", err)
		}
	}
	if n := len(err.Error()); n > maxMessage+300 {
		t.Errorf("message of %d bytes: %v", n, err)
	}
}

// The request asks for no more than a policy: no compression, no kept-alive
// connection, no cookie, though the host set one before.
func TestFetchRequest(t *testing.T) {
	t.Parallel()
	ca := resolvertest.NewCA(t)
	hosts := resolvertest.StartPolicyHosts(t, ca)
	requests := make(chan *http.Request, 2)
	good := resolvertest.HostRaw("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nSet-Cookie: a=b\r\nCache-Control: max-age=9999\r\n\r\n")
	hosts.Handle(testDomain, resolvertest.Behaviour{Respond: func(x *resolvertest.HostExchange) {
		requests <- x.Request
		good.Respond(x)
	}})
	client := New(options(ca, hosts))
	for range 2 {
		if _, err := client.Fetch(t.Context(), domain(t, testDomain)); err != nil {
			t.Fatal(err)
		}
		r := <-requests
		got := []any{r.Method, r.Host, r.RequestURI, r.Proto, r.Close, r.Header}
		want := []any{"GET", testHost, "/.well-known/mta-sts.txt", "HTTP/1.1", true, http.Header{
			"User-Agent": {"mta-sts-daemon"}, "Accept": {"text/plain"}, "Connection": {"close"}}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("request (-want +got):\n%s", diff)
		}
	}
}
