package monitor

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/html"

	"mta-sts-daemon/cmd/internal/admin"
	"mta-sts-daemon/socketmap/tlspolicy"
)

// hostile is a text that an attacker may put into a reason.
const hostile = `<script>document.title="pwned"</script>"'><img src=x onerror=pwned()>{{.}}</style>` + "\u202egnp.\x1b[31m"

// scene is the content of a page.
type scene struct {
	summary  Summary
	overview admin.Overview
	lookups  map[answer]int
}

var sceneTime = time.Date(2026, 11, 28, 12, 30, 0, 0, time.UTC)

// scenes returns the contents that the page is tested with, by name.
func scenes() map[string]scene {
	well := Summary{Host: "mx1.example.org", Version: "0.1.0", Started: sceneTime, Items: []Item{
		{Name: "Answering lookups", Text: "yes"},
		{Name: "Sockets for Postfix", Text: "127.0.0.1:8461, unix:/var/spool/postfix/mta-sts/sock"},
		{Name: "DNS resolver", Text: "answers"},
		{Name: "Policy file", Text: "written"},
		{Name: "DANE", Text: "left to Postfix: smtp_tls_security_level is may and smtp_dns_support_level is not dnssec"},
	}}
	ill := well
	ill.Monitor = true
	ill.Items = append(slices.Clone(well.Items), Item{Name: "Shared store", Text: "dial tcp 10.0.0.7:6379: connection refused " + hostile, Problem: true})
	lookups := map[answer]int{{"secure", ""}: 5210, {"dane-only", ""}: 1204, {"dane", ""}: 3, {"notfound", "absent"}: 21033, {"notfound", "testing"}: 801,
		{"notfound", "broken"}: 122, {"notfound", "unknown"}: 40, {"temp", ""}: 12}
	long := strings.Repeat(strings.Repeat("a", 63)+".", 3) + strings.Repeat("b", 53) + ".example"
	return map[string]scene{
		"empty":   {summary: well, overview: admin.Overview{Complete: time.Now().Add(-time.Hour)}},
		"usual":   {summary: well, lookups: lookups, overview: overviewOf(3, 3, func(i int) string { return fmt.Sprintf("partner%d.example", i) }, "TLSA _25._tcp.mx1.partner.example: SERVFAIL")},
		"hostile": {summary: ill, lookups: lookups, overview: overviewOf(4, 4, func(i int) string { return []string{long, hostile, "xn--bcher-kva.example", "a.example"}[i%4] }, hostile+strings.Repeat(" AAAAAAAAAA", 100))},
		"many":    {summary: well, lookups: lookups, overview: overviewOf(10_000, 10_000, func(i int) string { return fmt.Sprintf("domain%d.example", i) }, "the policy host's certificate has expired on 2026-11-01")},
	}
}

func overviewOf(n, total int, name func(int) string, reason string) admin.Overview {
	o := admin.Overview{Kinds: map[string]int{"found": total, "broken": total / 2, "downgraded": 1}}
	list := func(fill func(i int, l *admin.Listed)) (s admin.Some[admin.Listed]) {
		s.Total = total
		for i := range n {
			l := admin.Listed{Policy: admin.Policy{Domain: name(i), MX: []string{"mx1." + name(i), "*.mail.example"}, Expires: sceneTime.Add(time.Duration(i) * time.Hour)}}
			fill(i, &l)
			s.First = append(s.First, l)
		}
		return s
	}
	o.Mismatch = list(func(i int, l *admin.Listed) { l.Mismatch, l.MismatchLookups = sceneTime, int64(1000/(i+1)) })
	o.Temp = list(func(i int, l *admin.Listed) {
		l.Deferred = []admin.Deferral{{NextHop: "[mx." + name(i) + "]:587", Reason: reason, Since: sceneTime, Lookups: 1234567}}
	})
	o.Expiring = list(func(i int, l *admin.Listed) { l.Failure = &admin.Failure{Reason: reason, Since: sceneTime} })
	o.Broken = list(func(i int, l *admin.Listed) {
		l.Failure = &admin.Failure{Result: "sts-webpki-invalid", Reason: reason, Since: sceneTime, Lookups: int64(500 - i)}
	})
	o.Changes.Total = total
	for i := range n {
		o.Changes.First = append(o.Changes.First, admin.Change{At: sceneTime, Kind: "changed", Domain: name(i), OldMode: "testing", NewMode: "enforce", ID: "20261128T000000", Added: []string{"mx2." + name(i)}, Reason: reason})
	}
	o.Changes.First = append(o.Changes.First, admin.Change{At: sceneTime, Kind: "purged", Count: 12})
	o.Changes.Total++
	return o
}

// page returns a page that is on and shows s.
func (s scene) page() *Page {
	lookups := prometheus.NewCounterVec(prometheus.CounterOpts{Name: tlspolicy.LookupsMetric}, []string{"protocol", tlspolicy.ResultLabel, tlspolicy.ReasonLabel})
	reg := prometheus.NewRegistry()
	reg.MustRegister(lookups)
	p := NewPage(reg, func(context.Context) Summary { return s.summary }, func(limit int, _ time.Time) admin.Overview { return first(s.overview, limit) })
	p.Show(true)
	for a, n := range s.lookups {
		lookups.WithLabelValues("socketmap", a.result, a.reason).Add(float64(n))
	}
	return p
}

// first returns o with at most limit of each kind.
func first(o admin.Overview, limit int) admin.Overview {
	for _, s := range []*admin.Some[admin.Listed]{&o.Mismatch, &o.Temp, &o.Expiring, &o.Broken} {
		s.First = s.First[:min(limit, len(s.First))]
	}
	o.Changes.First = o.Changes.First[:min(limit, len(o.Changes.First))]
	return o
}

func get(h http.Handler) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	return w
}

// However many domains and next hops need the operator, the page has pageRows rows of each
// state, and the number of the other domains.
func TestPageRows(t *testing.T) {
	t.Parallel()
	const total = 5000
	o := overviewOf(total, total, func(i int) string { return fmt.Sprintf("domain%d.example", i) }, "SERVFAIL")
	for i := range 3 { // domains with ten next hops each
		for n := range 9 {
			hop := o.Temp.First[i].Deferred[0]
			hop.NextHop = fmt.Sprintf("[mx%d.example]:%d", i, 1000+n)
			o.Temp.First[i].Deferred = append(o.Temp.First[i].Deferred, hop)
		}
	}
	lone := overviewOf(1, 1, func(int) string { return "domain.example" }, "SERVFAIL")
	lone.Temp.First[0].Deferred = slices.Repeat(lone.Temp.First[0].Deferred, total)
	for _, check := range []struct {
		name     string
		overview admin.Overview
		temp     int // rows
		more     string
	}{
		{"many domains", o, 20, "and 4,998 more in state temp"},
		{"a domain with many next hops", lone, pageRows, ""},
	} {
		body := get(scene{overview: check.overview}.page()).Body.String()
		count := func(state string) int { return strings.Count(body, `data-label="State">`+state+"<") }
		if got := count(admin.StateTemp); got != check.temp {
			t.Errorf("%s: %d rows in state temp, want %d", check.name, got, check.temp)
		}
		if got := strings.Count(body, "<tr"); got > 5*(pageRows+1) {
			t.Errorf("%s: %d rows", check.name, got)
		}
		if !strings.Contains(body, check.more) {
			t.Errorf("%s: the page does not say %q", check.name, check.more)
		}
	}
}

// The page has no script and loads nothing, and its policy forbids both; text of others stays
// text. People who do not see it find headings, captions and headers of rows and columns.
func TestPage(t *testing.T) {
	t.Parallel()
	for name, s := range scenes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := get(s.page())
			if w.Code != 200 || w.Header().Get("Content-Type") != "text/html; charset=utf-8" {
				t.Fatalf("%d %s", w.Code, w.Header())
			}
			if size := w.Body.Len(); size > 150_000 {
				t.Errorf("%d bytes", size)
			}
			root, err := html.Parse(w.Body)
			if err != nil {
				t.Fatal(err)
			}
			c := &checker{t: t}
			for n := range root.Descendants() {
				c.node(n)
			}
			c.end(w.Header().Get("Content-Security-Policy"))
			if left := strings.Count(c.text, "and 9,975 more") + strings.Count(c.text, "and 9,976 more"); name == "many" && left != 5 {
				t.Errorf("%d lists have the number of rows that they leave out, want 5", left)
			}
			if name == "hostile" && !strings.Contains(c.text, `<script>document.title="pwned"</script>"'><img src=x onerror=pwned()>{{.}}</style>\u202egnp.\x1b[31m`) {
				t.Error("the reason is not there as text")
			}
		})
	}
}

// checker checks the nodes of a page.
type checker struct {
	t        *testing.T
	text     string
	style    string
	headings []string
	columns  []string // of the table
	cell     int      // of the row
}

// elements are all that the page may have.
var elements = strings.Fields("html head meta title style body header h1 p strong main section h2 ul li span b svg rect table caption thead tbody tr th td time code a footer")

func (c *checker) node(n *html.Node) {
	if n.Type == html.TextNode {
		if n.Parent.Data == "style" {
			c.style = n.Data
		} else {
			c.text += n.Data
		}
		return
	}
	if n.Type != html.ElementNode {
		return
	}
	if !slices.Contains(elements, n.Data) {
		c.t.Errorf("there is a <%s>", n.Data)
	}
	attrs := map[string]string{}
	for _, a := range n.Attr {
		attrs[a.Key] = a.Val
		if strings.HasPrefix(a.Key, "on") || slices.Contains([]string{"style", "src", "srcset", "action", "xlink:href"}, a.Key) ||
			a.Key == "href" && !slices.Contains([]string{"/metrics", "/readyz", "/healthz"}, a.Val) || a.Key == "http-equiv" {
			c.t.Errorf("<%s> has %s=%q", n.Data, a.Key, a.Val)
		}
	}
	switch n.Data {
	case "h1", "h2":
		c.headings = append(c.headings, n.Data)
	case "table":
		c.columns = nil
		if n.FirstChild.NextSibling.Data != "caption" {
			c.t.Error("a table has no caption")
		}
	case "tr":
		c.cell = 0
	case "th", "td":
		if n.Data == "th" && attrs["scope"] == "" {
			c.t.Error("a header has no scope")
		}
		switch label := attrs["data-label"]; {
		case attrs["scope"] == "col":
			c.columns = append(c.columns, n.FirstChild.Data)
		case n.Data == "td" && label != c.columns[c.cell]:
			c.t.Errorf("a cell of the column %s has the label %s", c.columns[c.cell], label)
		}
		c.cell++
	case "svg":
		if attrs["aria-hidden"] != "true" {
			c.t.Error("a drawing is read aloud")
		}
	}
}

func (c *checker) end(policy string) {
	if i := strings.IndexFunc(c.text, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); i >= 0 {
		c.t.Errorf("text that is not printable: %q", c.text[i:i+20])
	}
	if got := strings.Join(c.headings, " "); got != "h1 h2 h2 h2 h2 h2" {
		c.t.Errorf("headings: %s", got)
	}
	sum := sha256.Sum256([]byte(c.style))
	want := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	if policy != want {
		c.t.Errorf("Content-Security-Policy: %s, want %s", policy, want)
	}
}

// Text has the contrast of WCAG 2.2 level AA on each ground, in light and dark; the parts of
// the bar stand out from it.
func TestPageContrast(t *testing.T) {
	t.Parallel()
	_, dark, _ := strings.Cut(pageStyle, "prefers-color-scheme: dark")
	for scheme, css := range map[string]string{"light": pageStyle, "dark": dark} {
		colours := map[string]string{}
		for _, m := range regexp.MustCompile(`--([a-z]+): #([0-9a-f]{6})`).FindAllStringSubmatch(css, -1) {
			if _, there := colours[m[1]]; !there {
				colours[m[1]] = m[2]
			}
		}
		check := func(least float64, names string, grounds ...string) {
			for name := range strings.FieldsSeq(names) {
				for _, ground := range grounds {
					if got := contrast(t, colours[name], colours[ground]); got < least {
						t.Errorf("%s: %s on %s: %.2f, want %v", scheme, name, ground, got, least)
					}
				}
			}
		}
		check(4.5, "text quiet good bad link", "ground", "raised")
		check(3, "sts dane override plain broken temp", "ground", "raised")
	}
}

// contrast is WCAG's contrast ratio.
func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	luminance := func(colour string) float64 {
		v, err := strconv.ParseUint(colour, 16, 32)
		if err != nil {
			t.Fatalf("colour %q: %v", colour, err)
		}
		part := func(shift int) float64 {
			c := float64(v>>shift&0xff) / 255
			if c <= 0.04045 {
				return c / 12.92
			}
			return math.Pow((c+0.055)/1.055, 2.4)
		}
		return 0.2126*part(16) + 0.7152*part(8) + 0.0722*part(0)
	}
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// Off, the page is not there; a reload turns it on and off.
func TestPageOff(t *testing.T) {
	t.Parallel()
	p := scenes()["usual"].page()
	h := Handler(prometheus.NewRegistry(), nil, nil, p)
	for _, on := range []bool{false, true, false} {
		p.Show(on)
		if got := get(h).Code; got != map[bool]int{true: 200, false: 404}[on] {
			t.Errorf("on %v: status %d", on, got)
		}
	}
}

// However often clients ask, a page is made every few seconds at most.
func TestPageIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		made := 0
		p := NewPage(prometheus.NewRegistry(), func(context.Context) Summary { made++; return Summary{} },
			func(int, time.Time) admin.Overview { return admin.Overview{} })
		p.Show(true)
		for range 100 {
			get(p)
		}
		time.Sleep(pageLife)
		get(p)
		if made != 2 {
			t.Errorf("made %d times, want 2", made)
		}
	})
}

// Shares are of the last hour, or of the time since the page was turned on.
func TestLastHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lookups := prometheus.NewCounterVec(prometheus.CounterOpts{Name: tlspolicy.LookupsMetric}, []string{"protocol", "result", "reason"})
		reg := prometheus.NewRegistry()
		reg.MustRegister(lookups)
		p := NewPage(reg, nil, nil)
		lookup := func() { lookups.WithLabelValues("socketmap", "secure", "").Inc() }
		expect := func(n float64, span time.Duration) {
			t.Helper()
			counts, from := p.lookups.since()
			if got := counts[answer{"secure", ""}]; got != n || time.Since(from) != span {
				t.Errorf("%v lookups in %v, want %v in %v", got, time.Since(from), n, span)
			}
		}
		lookup() // before the page is on
		p.Sample()
		expect(0, 0)
		p.Show(true)
		for range 30 {
			lookup()
			time.Sleep(SampleInterval)
			p.Sample()
		}
		expect(30, 30*time.Minute)
		for range 300 {
			time.Sleep(SampleInterval)
			p.Sample()
			lookup()
		}
		expect(61, time.Hour) // one is newer than the last sample
		if n := len(p.lookups.samples); n > 61 {
			t.Errorf("%d samples", n)
		}
		p.Show(false)
		p.Show(true)
		expect(0, 0)
	})
}
