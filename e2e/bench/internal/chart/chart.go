// Package chart draws lines over one or more axes as an SVG. It has a background of
// its own, so that it can be read on light and on dark pages.
package chart

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// Chart is a row of panels with one scale of heights, which is logarithmic, and
// one legend.
type Chart struct {
	Title  string
	Height string // the quantity of heights, with its unit
	Panels []Panel
}

// Panel has lines over one axis.
type Panel struct {
	Title string
	Axis  string // the quantity of the axis
	Log   bool   // the axis is logarithmic
	Lines []Line
}

// Line is a line with its name in the legend. Lines of the same name in other
// panels have the same colour. Points are x and height.
type Line struct {
	Name   string
	Points [][2]float64
}

// Measures in pixels.
const (
	panelWidth  = 340
	panelHeight = 262
	plotWidth   = 250
	plotHeight  = 170
	plotLeft    = 52 // of a panel
	plotTop     = 46
	margin      = 10
	header      = 52 // title and legend
)

// palette is the colour of the i-th line: grey for a baseline, then colours that
// colour-blind people can tell apart.
func palette(i int) string {
	colours := []string{"#6b7280", "#1f6fd6", "#d9660a", "#8f3bb8", "#1b8a4b"}
	return colours[i%len(colours)]
}

// drawing is a chart on its way to an SVG.
type drawing struct {
	Chart
	out         strings.Builder
	low, high   float64        // of all heights
	lineNumbers map[string]int // by name, in order of appearance
	names       []string
}

// SVG returns the chart.
func (c Chart) SVG() string {
	d := &drawing{Chart: c, lineNumbers: map[string]int{}, low: math.Inf(1)}
	for _, p := range c.Panels {
		for _, l := range p.Lines {
			if _, seen := d.lineNumbers[l.Name]; !seen {
				d.lineNumbers[l.Name] = len(d.names)
				d.names = append(d.names, l.Name)
			}
			for _, point := range l.Points {
				d.low, d.high = min(d.low, point[1]), max(d.high, point[1])
			}
		}
	}
	d.low, d.high = roundDown(d.low), roundUp(d.high)
	width, height := len(c.Panels)*panelWidth+2*margin, header+panelHeight+margin
	d.add(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12" fill="#24292e">`, width, height)
	d.add(`<title>%s</title>`, html.EscapeString(c.Title))
	d.add(`<rect width="100%%" height="100%%" fill="#f4f5f5"/>`)
	d.text(margin, 20, `font-size="14" font-weight="bold"`, c.Title)
	d.legend()
	for i, p := range c.Panels {
		d.panel(p, float64(margin+i*panelWidth), header)
	}
	d.add(`</svg>`)
	return d.out.String()
}

func (d *drawing) add(format string, args ...any) { fmt.Fprintf(&d.out, format+"\n", args...) }

func (d *drawing) text(x, y float64, style, text string) {
	d.add(`<text x="%.0f" y="%.0f" %s>%s</text>`, x, y, style, html.EscapeString(text))
}

// letterWidth is about how wide a letter of the legend is.
const letterWidth = 6.6

func (d *drawing) legend() {
	x := float64(margin)
	for i, name := range d.names {
		d.add(`<path d="M%.0f 36h18" stroke="%s" stroke-width="3"/>`, x, palette(i))
		d.text(x+23, 40, "", name)
		x += 23 + letterWidth*float64(len(name)) + 20
	}
}

func (d *drawing) panel(p Panel, x, y float64) {
	d.add(`<rect x="%.0f" y="%.0f" width="%d" height="%d" fill="#ffffff" stroke="#dce1e6"/>`, x, y, panelWidth-margin/2, panelHeight)
	d.text(x+margin, y+20, "", p.Title)
	left, bottom := x+plotLeft, y+plotTop+plotHeight
	for _, tick := range d.heights() {
		at := bottom - d.height(tick)
		d.add(`<path d="M%.0f %.1fh%d" stroke="#e5e9ed"/>`, left, at, plotWidth)
		d.text(left-5, at+4, `font-size="10" text-anchor="end" fill="#5a6570"`, number(tick))
	}
	d.text(x+margin, y+plotTop-9, `font-size="10" fill="#5a6570"`, d.Height)
	scale := newScale(p)
	for _, tick := range scale.ticks() {
		at := left + scale.at(tick)
		d.add(`<path d="M%.1f %.0fv4" stroke="#5a6570"/>`, at, bottom)
		d.text(at, bottom+16, `font-size="10" text-anchor="middle" fill="#5a6570"`, number(tick))
	}
	d.text(left+plotWidth/2, bottom+34, `font-size="11" text-anchor="middle" fill="#5a6570"`, p.Axis)
	for _, l := range p.Lines {
		colour := palette(d.lineNumbers[l.Name])
		var path strings.Builder
		for i, point := range l.Points {
			px, py := left+scale.at(point[0]), bottom-d.height(point[1])
			fmt.Fprintf(&path, "%c%.1f %.1f", "ML"[min(i, 1)], px, py)
			d.add(`<circle cx="%.1f" cy="%.1f" r="2.5" fill="%s"/>`, px, py, colour)
		}
		d.add(`<path d="%s" fill="none" stroke="%s" stroke-width="1.8"/>`, path.String(), colour)
	}
}

// height is how far above the axis a value is.
func (d *drawing) height(v float64) float64 {
	return plotHeight * math.Log(v/d.low) / math.Log(d.high/d.low)
}

// heights are the values with a line of their own: 1, 2 and 5 times powers of ten.
func (d *drawing) heights() (ticks []float64) {
	for v := d.low; v <= d.high*(1+rounding); v = roundUp(v * (1 + 2*rounding)) {
		ticks = append(ticks, v)
	}
	return ticks
}

// rounding is a relative difference that does not count.
const rounding = 1e-9

// roundUp returns the least of 1, 2 and 5 times a power of ten that is not less.
func roundUp(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, digit := range []float64{1, 2, 5} {
		if digit*power >= v*(1-rounding) {
			return digit * power
		}
	}
	return 10 * power
}

// roundDown returns the greatest that is not more.
func roundDown(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, digit := range []float64{5, 2} {
		if digit*power <= v*(1+rounding) {
			return digit * power
		}
	}
	return power
}

// scale is that of a panel's axis.
type scale struct {
	log      bool
	from, to float64
}

func newScale(p Panel) scale {
	s := scale{p.Log, math.Inf(1), math.Inf(-1)}
	for _, l := range p.Lines {
		for _, point := range l.Points {
			s.from, s.to = min(s.from, point[0]), max(s.to, point[0])
		}
	}
	return s
}

// at is where on the axis a value is.
func (s scale) at(v float64) float64 {
	if s.log {
		return plotWidth * math.Log(v/s.from) / math.Log(s.to/s.from)
	}
	return plotWidth * (v - s.from) / (s.to - s.from)
}

// ticks are powers of ten, or quarters.
func (s scale) ticks() (ticks []float64) {
	if !s.log {
		for i := range 5 {
			ticks = append(ticks, s.from+(s.to-s.from)*float64(i)/4)
		}
		return ticks
	}
	for v := math.Pow(10, math.Ceil(math.Log10(s.from)-rounding)); v <= s.to*(1+rounding); v *= 10 {
		ticks = append(ticks, v)
	}
	return ticks
}

// number writes large numbers with groups of three digits.
func number(v float64) string {
	if v < 1000 {
		return fmt.Sprintf("%.3g", v)
	}
	digits := fmt.Sprintf("%.0f", v)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}
