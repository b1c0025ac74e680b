package admin

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"mta-sts-daemon/socketmap"
)

// A name that cannot be a policy domain is not even sent.
func TestClientBadDomains(t *testing.T) {
	t.Parallel()
	c := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		t.Errorf("%s %s was sent", req.Method, req.URL)
	}))
	for domain, reason := range map[string]string{
		"":                        `"" is not a host name`,
		".":                       `"." is not a host name`,
		"..":                      `".." is not a host name`,
		"../purge-all":            `"../purge-all" is not a host name`,
		".example.com":            `".example.com" is not a host name`,
		"a b.example":             `"a b.example" is not a host name`,
		"a.example/b":             `"a.example/b" is not a host name`,
		"\x00\xff\n":              `"\x00\xff\n" is not a host name`,
		strings.Repeat("a.", 200): `"` + strings.Repeat("a.", 32) + `"... is not a host name`,
		"localhost":               `"localhost" is a single label`,
		"192.0.2.1":               `"192.0.2.1" is an IP address or ends like one`,
		"[192.0.2.1]:25":          `"[192.0.2.1]:25" is not a host name`,
	} {
		_, known := c.Domain(t.Context(), domain)
		_, refresh := c.Refresh(t.Context(), domain)
		_, lookup := c.Lookup(t.Context(), socketmap.MapName{}, domain)
		for _, err := range []error{known, refresh, lookup, c.Purge(t.Context(), domain)} {
			if want := "not a domain that can have a policy: " + reason; !errors.Is(err, ErrNotDomain) || err.Error() != want {
				t.Errorf("%q: %v, want %s", domain, err, want)
			}
		}
	}
}

// Nor does it reach anything behind the socket where somebody else sends it.
func TestServerBadDomains(t *testing.T) {
	t.Parallel()
	c := serve(t, NewHandler(Controls{}))
	requests := func(domain string) map[string]error {
		ask := func(method, path string) error { return c.ask(t.Context(), method, path, nil) }
		escaped := url.PathEscape(domain)
		return map[string]error{
			"known":   ask(http.MethodGet, "/policies/"+escaped),
			"purge":   ask(http.MethodDelete, "/policies/"+escaped),
			"refresh": ask(http.MethodPost, "/policies/"+escaped+"/refresh"),
			"lookup":  ask(http.MethodPost, "/lookups/"+escaped),
		}
	}
	for _, domain := range []string{"localhost", "192.0.2.1", "a b.example", "a.example/b", "\x00", ".example.com"} {
		for what, err := range requests(domain) {
			if err == nil || !strings.HasPrefix(err.Error(), ErrNotDomain.Error()) {
				t.Errorf("%s %q: %v", what, domain, err)
			}
		}
	}
	for _, domain := range []string{"", ".", "..", "../purge-all", "/", "?", "#"} { // nor do these lead to another path
		for what, err := range requests(domain) {
			if err == nil {
				t.Errorf("%s %q was carried out", what, domain)
			}
		}
	}
}

func TestParseKey(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"EXAMPLE.com.":         "example.com",
		"example.com:25":       "example.com",
		"[mx.example.com]:587": "mx.example.com",
		"b\u00fccher.example":  "xn--bcher-kva.example",
	} {
		if hop, err := parseKey(text); err != nil || hop.Domain.String() != want {
			t.Errorf("%q: %v, %v", text, hop, err)
		}
	}
}
