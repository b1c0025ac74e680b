package e2e

import (
	"cmp"
	"fmt"
	"html"
	"math"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"mta-sts-daemon/resolver/resolvertest"
)

// envPicture names the file that TestDashboardPicture writes.
const envPicture = "DASHBOARD"

// pictureTime is how long the daemon is watched for the picture.
const pictureTime = 2 * time.Minute

// TestDashboardPicture draws docs/dashboard.svg: the panels of the dashboard, as a real
// Prometheus answers their queries after two minutes of lookups. It runs only if DASHBOARD
// names the file ("make dashboard").
func TestDashboardPicture(t *testing.T) {
	file := os.Getenv(envPicture)
	if file == "" {
		t.Skip("make dashboard draws the picture of docs/operating.md")
	}
	w := newBareWorld(t)
	startDaemon(t, w, fmt.Sprintf("dns: {servers: [%q], dane: always}", authorityAddr), watched).stopLater(t)
	p := startPrometheus(t)
	pictured(t, w)
	end := time.Now()
	var svg strings.Builder
	drawing{&svg}.board(t, p, dashboard(t), end.Add(-pictureTime), end)
	if err := os.WriteFile(file, []byte(svg.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// pictured has Postfix's lookups made for a while. Publishers break one by one, and for half
// a minute the name servers of two domains fail.
func pictured(t *testing.T, w *world) {
	name := func(kind string, i int) string { return fmt.Sprintf("%s%d.test", kind, i) }
	for i := range 40 {
		d := name("enforce", i)
		w.addMX(d, "mx."+d, "127.0.1.1")
		w.publish(d, resolvertest.HostPolicy(policy("enforce", "mx."+d)))
		d = name("testing", i)
		w.publish(d, resolvertest.HostPolicy(policy("testing", "mx."+d)))
		w.publish(name("broken", i), resolvertest.HostStatus(http.StatusNotFound, ""))
		w.publish(name("mismatch", i), resolvertest.HostPolicy(policy("enforce", "mx.elsewhere.test")))
		d = name("dane", i)
		w.addMX(d, "mx."+d, "127.0.1.1")
		w.zone.Add(fmt.Sprintf("_25._tcp.mx.%s. 300 IN TLSA 3 1 1 %064d", d, i))
	}
	w.zone.SetAuthenticated(true)
	c := newClient()
	defer c.Close()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	began := time.Now()
	for i := 0; time.Since(began) < pictureTime; i++ {
		<-tick.C
		past := int(40 * time.Since(began) / pictureTime) // from 0 to 40
		keys := []string{name("enforce", i%40), name("absent", i%200), name("absent", i%7), name("testing", i%(past/4+1)), name("dane", i%20), "localhost"}
		if i%4 == 0 {
			keys = append(keys, name("broken", i/4%(past/3+1)))
		}
		if i%10 == 0 && past >= 16 { // a verdict of before would hold
			keys = append(keys, name("deferred", i/10%2))
		}
		switch past {
		case 15:
			for i := range 2 {
				w.zone.Misbehave(name("deferred", i), resolvertest.DNSRcode(dns.RcodeServerFailure))
			}
		case 25:
			for i := range 2 {
				w.zone.Misbehave(name("deferred", i), nil)
			}
		case 20, 30:
			keys = append(keys, name("mismatch", past))
		}
		for _, key := range keys {
			if _, err := c.Lookup(key); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Measures of the picture, in pixels. gridWidth and gridHeight are of a cell of Grafana's
// grid, which is 24 cells wide.
const (
	gridWidth  = 50
	gridHeight = 26
	gap        = 6
	titleSpace = 22
	axisSpace  = 40
	legendLine = 14
)

// palette are the colours of lines, those of Grafana's first ones.
func palette(i int) string {
	colours := []string{"#56a64b", "#e0b400", "#3274d9", "#ff780a", "#e02f44", "#8f3bb8", "#37872d", "#5794f2", "#c4162a", "#7c8187"}
	return colours[i%len(colours)]
}

// drawing writes an SVG.
type drawing struct{ out *strings.Builder }

func (d drawing) add(format string, args ...any) { fmt.Fprintf(d.out, format+"\n", args...) }

func (d drawing) text(x, y float64, style, text string) {
	d.add(`<text x="%.0f" y="%.0f" %s>%s</text>`, x, y, style, html.EscapeString(text))
}

// board draws the panels that have data. Those below a panel that is left out move up.
func (d drawing) board(t *testing.T, p *prometheus, panels []panel, from, to time.Time) {
	var body strings.Builder
	y, rows := 0., 0
	for i := 0; i < len(panels); {
		next := i + 1 // a row and what it has
		for next < len(panels) && panels[next].Type != "row" {
			next++
		}
		var drawn strings.Builder
		height := 0.
		for _, q := range panels[i+1 : next] {
			lines := p.lines(t, q, from, to)
			if len(lines) == 0 {
				continue
			}
			top := (q.GridPos.Y - panels[i].GridPos.Y - 1) * gridHeight
			drawing{&drawn}.panel(q, lines, q.GridPos.X*gridWidth, y+titleSpace+top, from, to)
			height = max(height, top+q.GridPos.H*gridHeight)
		}
		if height > 0 {
			drawing{&body}.text(gap, y+16, `font-weight="bold"`, panels[i].Title)
			body.WriteString(drawn.String())
			y += titleSpace + height
			rows++
		}
		i = next
	}
	if rows == 0 {
		t.Fatal("no panel has data")
	}
	d.add(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %.0f" font-family="sans-serif" font-size="12" fill="#24292e">`, 24*gridWidth, y+gap)
	d.add(`<title>Grafana dashboard of mta-sts-daemon</title>`)
	d.add(`<rect width="100%%" height="100%%" fill="#f4f5f5"/>`)
	d.out.WriteString(body.String())
	d.add(`</svg>`)
}

// line is a time series with its name in the legend.
type line struct {
	name   string
	values [][2]float64 // time and value
}

// lines asks the queries of a panel.
func (p *prometheus) lines(t *testing.T, q panel, from, to time.Time) (lines []line) {
	t.Helper()
	for _, target := range q.Targets {
		var data struct {
			Result []struct {
				Metric map[string]string
				Values [][2]any
			}
		}
		err := p.ask(t, "query_range", url.Values{"query": {target.Expr}, "step": {"2"},
			"start": {fmt.Sprint(from.Unix())}, "end": {fmt.Sprint(to.Unix())}}, &data)
		if err != nil {
			t.Fatalf("%s: %v", target.Expr, err)
		}
		for _, series := range data.Result {
			l := line{name: target.LegendFormat}
			for label, value := range series.Metric {
				l.name = strings.ReplaceAll(l.name, "{{"+label+"}}", value)
			}
			for _, v := range series.Values {
				n, err := strconv.ParseFloat(v[1].(string), 64)
				if err == nil && !math.IsNaN(n) && !math.IsInf(n, 0) {
					l.values = append(l.values, [2]float64{v[0].(float64), n})
				}
			}
			if l.values != nil {
				lines = append(lines, l)
			}
		}
	}
	slices.SortStableFunc(lines, func(a, b line) int {
		if len(q.Targets) > 1 {
			return 0 // in the order of the queries
		}
		return cmp.Compare(a.name, b.name)
	})
	return lines
}

func (d drawing) panel(q panel, lines []line, x, y float64, from, to time.Time) {
	width, height := q.GridPos.W*gridWidth-gap, q.GridPos.H*gridHeight-gap
	d.add(`<rect x="%.0f" y="%.0f" width="%.0f" height="%.0f" fill="#ffffff" stroke="#dce1e6"/>`, x+gap/2, y, width, height)
	d.text(x+2*gap, y+16, "", q.Title)
	if q.Type == "stat" {
		last := lines[0].values[len(lines[0].values)-1][1]
		d.text(x+width/2, y+height/2+20, `font-size="28" text-anchor="middle"`, cmp.Or(lines[0].name, format(last, q.FieldConfig.Defaults.Unit)))
		return
	}
	stacked := q.FieldConfig.Defaults.Custom.Stacking.Mode == "normal"
	highest := 0.
	base := map[float64]float64{} // by time, the height of the lines so far
	for i, l := range lines {
		if stacked {
			for j, v := range l.values {
				base[v[0]] += v[1]
				lines[i].values[j][1] = base[v[0]]
			}
		}
		for _, v := range l.values {
			highest = max(highest, v[1])
		}
	}
	highest = cmp.Or(q.FieldConfig.Defaults.Max, highest, 1)
	perLine := 3
	legend := float64((len(lines) + perLine - 1) / perLine * legendLine)
	left, top := x+axisSpace+gap, y+titleSpace+4
	w, h := width-axisSpace-2*gap, height-titleSpace-legend-12
	at := func(v [2]float64) (px, py float64) {
		return left + w*(v[0]-float64(from.Unix()))/to.Sub(from).Seconds(), top + h*(1-min(v[1]/highest, 1))
	}
	for _, part := range []float64{0, .5, 1} {
		py := top + h*(1-part)
		d.add(`<path d="M%.0f %.1fh%.0f" stroke="#e5e9ed"/>`, left, py, w)
		d.text(left-4, py+4, `font-size="10" text-anchor="end" fill="#5a6570"`, format(part*highest, q.FieldConfig.Defaults.Unit))
	}
	for i := len(lines) - 1; i >= 0; i-- { // of a stack, the highest first
		var path strings.Builder
		var px, py, first float64
		for j, v := range lines[i].values {
			px, py = at(v)
			fmt.Fprintf(&path, "%c%.1f %.1f", "ML"[min(j, 1)], px, py)
			if j == 0 {
				first = px
			}
		}
		if stacked {
			d.add(`<path d="%sL%.1f %.1fL%.1f %.1fZ" fill="%s"/>`, path.String(), px, top+h, first, top+h, palette(i))
		} else {
			d.add(`<path d="%s" fill="none" stroke="%s" stroke-width="1.5"/>`, path.String(), palette(i))
		}
		lx, ly := left+float64(i%perLine)*w/float64(perLine), top+h+16+float64(i/perLine*legendLine)
		d.add(`<rect x="%.0f" y="%.0f" width="8" height="8" fill="%s"/>`, lx, ly-8, palette(i))
		d.text(lx+11, ly, `font-size="10"`, lines[i].name)
	}
}

// format writes a value in a unit of Grafana.
func format(v float64, unit string) string {
	switch unit {
	case "percentunit":
		return fmt.Sprintf("%.0f%%", 100*v)
	case "bytes":
		return fmt.Sprintf("%.0f MiB", v/(1<<20))
	case "s":
		return fmt.Sprintf("%.3g s", v)
	}
	return fmt.Sprintf("%.3g", v)
}
