package monitor

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mta-sts-daemon/cmd/internal/admin"
	"mta-sts-daemon/resolver/printable"
)

const (
	// pageLife is for how long a page is served again. So clients that ask for it over and
	// over cost one page in that time.
	pageLife = 5 * time.Second
	// pageRows is how many rows of a kind a list has.
	pageRows = 25
	// changesSpan is how far back changes go.
	changesSpan = 7 * 24 * time.Hour
	// maxPageText limits texts of others, in bytes.
	maxPageText = 300
)

// Summary is how the daemon itself is.
type Summary struct {
	Host, Version string
	Started       time.Time
	Monitor       bool // Postfix is answered NOTFOUND
	Items         []Item
}

// Item is something that the daemon needs or does.
type Item struct {
	Name, Text string
	Problem    bool
}

// Page is the status page. It has no script and loads nothing; its Content-Security-Policy
// forbids both. It is safe for concurrent use.
type Page struct {
	summary  func(context.Context) Summary
	overview func(limit int, since time.Time) admin.Overview
	lookups  lastHour

	on atomic.Bool

	mu   sync.Mutex
	made time.Time // of last
	last []byte
}

// NewPage returns a Page that is off. lookups gathers tlspolicy.LookupsMetric.
func NewPage(lookups prometheus.Gatherer, summary func(context.Context) Summary, overview func(int, time.Time) admin.Overview) *Page {
	return &Page{summary: summary, overview: overview, lookups: lastHour{lookups: lookups}}
}

// Show switches the page on or off.
func (p *Page) Show(on bool) {
	if p.on.Swap(on) == on {
		return
	}
	p.lookups.clear()
	if on {
		p.lookups.add()
	}
}

// Sample counts the lookups for the shares of the last hour, while the page is on.
func (p *Page) Sample() {
	if p.on.Load() {
		p.lookups.add()
	}
}

// ServeHTTP implements http.Handler.
func (p *Page) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if !p.on.Load() {
		http.NotFound(w, req)
		return
	}
	text, err := p.text()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", contentPolicy())
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	w.Write(text)
}

// contentPolicy lets the browser use the page's own style and nothing else.
func contentPolicy() string {
	sum := sha256.Sum256([]byte(pageStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

// text returns the last page, or a new one if that is older than pageLife.
func (p *Page) text() ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if p.last != nil && now.Sub(p.made) < pageLife {
		return p.last, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
	defer cancel()
	var out bytes.Buffer
	counts, from := p.lookups.since()
	v := view{Style: template.CSS(pageStyle), At: now, Summary: p.summary(ctx), Shares: sharesOf(counts), SharesFrom: from}
	v.look(p.overview(pageRows, now.Add(-changesSpan)))
	if err := pageTemplate.Execute(&out, v); err != nil {
		return nil, err
	}
	p.made, p.last = now, out.Bytes()
	return p.last, nil
}

var (
	//go:embed page.css
	pageStyle string
	//go:embed page.html
	pageText     string
	pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
		"time":  func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") },
		"stamp": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"safe":  safe,
		"group": group,
	}).Parse(pageText))
)

// view has the values for the template.
type view struct {
	Style      template.CSS
	At         time.Time
	Summary    Summary
	Shares     []share
	SharesFrom time.Time

	Needs, Broken []row
	NeedsCount    int // one that is in several states counts in each
	NeedsMore     []more
	BrokenMore    []more
	Changes       []admin.Change
	ChangesMore   []more
	Kinds         []kind
	// Incomplete is from when on no change is missing, if that is later than a week ago.
	Incomplete time.Time
}

// Verdict is the first line of the page.
func (v view) Verdict() string {
	for _, i := range v.Summary.Items {
		if i.Problem {
			return "Something on this host needs you."
		}
	}
	switch v.NeedsCount {
	case 0:
		return "All is well."
	case 1:
		return "The daemon is well. 1 domain needs you."
	}
	return "The daemon is well. " + group(v.NeedsCount) + " domains need you."
}

// Ill reports whether the verdict is a problem.
func (v view) Ill() bool {
	return v.NeedsCount > 0 || slices.ContainsFunc(v.Summary.Items, func(i Item) bool { return i.Problem })
}

// row is a domain with trouble.
type row struct {
	Domain, State, Mail, Reason string
	Since                       time.Time
	Lookups                     string
}

// more is the number of rows that a list leaves out, and the command that shows them.
type more struct {
	Count   int
	What    string
	Command string
}

// kind is how many changes of a kind there are.
type kind struct {
	Name  string
	Count int
}

// look copies an Overview into the view.
func (v *view) look(o admin.Overview) {
	v.NeedsCount = o.Mismatch.Total + o.Temp.Total + o.Expiring.Total
	listed := func(s admin.Some[admin.Listed], state string, rows func(admin.Listed) []row, to *[]row, left *[]more) {
		shown, domains := []row(nil), 0
		for _, l := range s.First {
			of := rows(l) // a domain may have many next hops
			if domains > 0 && len(shown)+len(of) > pageRows {
				break
			}
			shown = append(shown, of[:min(len(of), pageRows)]...)
			domains++
		}
		*to = append(*to, shown...)
		if n := s.Total - domains; n > 0 {
			*left = append(*left, more{n, "more in state " + state, "mta-sts-daemon policies --state " + state})
		}
	}
	listed(o.Mismatch, admin.StateMismatch, mismatchRow, &v.Needs, &v.NeedsMore)
	listed(o.Temp, admin.StateTemp, tempRows, &v.Needs, &v.NeedsMore)
	listed(o.Expiring, admin.StateExpiring, expiringRow, &v.Needs, &v.NeedsMore)
	listed(o.Broken, admin.StateBroken, brokenRow, &v.Broken, &v.BrokenMore)
	v.Changes = o.Changes.First
	if n := o.Changes.More(); n > 0 {
		v.ChangesMore = []more{{n, "more", "mta-sts-daemon changes"}}
	}
	for _, name := range admin.Kinds() {
		if n := o.Kinds[name]; n > 0 {
			v.Kinds = append(v.Kinds, kind{name, n})
		}
	}
	if o.Complete.After(v.At.Add(-changesSpan)) {
		v.Incomplete = o.Complete
	}
}

func mismatchRow(l admin.Listed) []row {
	return []row{{Domain: l.Domain, State: admin.StateMismatch, Mail: "deferred", Since: l.Mismatch, Lookups: group(l.MismatchLookups),
		Reason: safe("No MX host matches the policy: " + strings.Join(l.MX, " "))}}
}

func tempRows(l admin.Listed) (rows []row) {
	for _, d := range l.Deferred {
		rows = append(rows, row{Domain: d.NextHop, State: admin.StateTemp, Mail: "deferred", Since: d.Since, Lookups: group(d.Lookups), Reason: safe(d.Reason)})
	}
	return rows
}

func expiringRow(l admin.Listed) []row {
	r := row{Domain: l.Domain, State: admin.StateExpiring, Mail: "unprotected from " + l.Expires.UTC().Format("2006-01-02 15:04"), Lookups: "–"}
	if f := l.Failure; f != nil {
		r.Since, r.Reason = f.Since, safe(cmp.Or(f.Reason, f.Result, "the policy could not be fetched"))
	}
	return []row{r}
}

func brokenRow(l admin.Listed) []row {
	r := row{Domain: l.Domain, State: admin.StateBroken}
	if f := l.Failure; f != nil {
		r.State, r.Since, r.Lookups = cmp.Or(f.Result, admin.StateBroken), f.Since, group(f.Lookups)
		r.Reason = safe(cmp.Or(f.Reason, "the policy could not be fetched"))
	}
	return []row{r}
}

// safe makes one line of printable ASCII of text that others control.
func safe(text string) string { return printable.Line(text, maxPageText) }

// share is a part of the lookups.
type share struct {
	Class string // of its colour
	Name  string
	Note  string
	Count int64
	Part  float64 // of 100
	From  float64 // its start in the bar, of 100
}

// Percent writes Part.
func (s share) Percent() string {
	if s.Count > 0 && s.Part < .1 {
		return "< 0.1 %"
	}
	return fmt.Sprintf("%.1f %%", s.Part)
}

// sharesOf divides the lookups by their meaning for mail. counts is nil if nothing was
// counted.
func sharesOf(counts map[answer]float64) []share {
	notFound := func(reason string) answer { return answer{"notfound", reason} }
	shares := []struct {
		share
		of []answer
	}{
		{share{Class: "sts", Name: "MTA-STS", Note: "an enforced policy"}, []answer{{"secure", ""}}},
		{share{Class: "dane", Name: "DANE", Note: "takes precedence"}, []answer{{"dane-only", ""}, {"dane", ""}}},
		{share{Class: "override", Name: "Override", Note: "of the configuration"}, []answer{{"override", ""}}},
		{share{Class: "plain", Name: "No policy", Note: "none announced, or none that is enforced"},
			[]answer{notFound("absent"), notFound("testing"), notFound("none"), notFound("no-domain")}},
		{share{Class: "broken", Name: "Broken or unknown", Note: "the policy cannot be used, or could not be found in time"},
			[]answer{notFound("broken"), notFound("unknown")}},
		{share{Class: "temp", Name: "Deferred by us", Note: "TEMP: DANE could not be looked up"}, []answer{{"temp", ""}}},
	}
	total := 0.
	for i := range shares {
		for _, a := range shares[i].of {
			shares[i].Count += int64(counts[a])
			total += counts[a]
		}
	}
	var all []share
	from := 0.
	for _, s := range shares {
		if total > 0 {
			s.Part = 100 * float64(s.Count) / total
		}
		s.From = from
		from += s.Part
		all = append(all, s.share)
	}
	return all
}

// Lookups returns how many there were.
func (v view) Lookups() (n int64) {
	for _, s := range v.Shares {
		n += s.Count
	}
	return n
}

// group writes an integer that is not negative with commas between thousands.
func group(n any) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
