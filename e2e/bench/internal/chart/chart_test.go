package chart

import (
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

// The SVG is well-formed and has every name, each in one colour.
func TestSVG(t *testing.T) {
	t.Parallel()
	svg := Chart{Title: "a < b", Height: "µs", Panels: []Panel{
		{Title: "first", Axis: "domains", Log: true, Lines: []Line{
			{"one", [][2]float64{{100, 9}, {1e6, 34}}},
			{"two & more", [][2]float64{{100, 300}}},
		}},
		{Title: "second", Axis: "%", Lines: []Line{
			{"two & more", [][2]float64{{0, 285}, {100, 60}}},
		}},
	}}.SVG()
	for decoder := xml.NewDecoder(strings.NewReader(svg)); ; {
		_, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, svg)
		}
	}
	for text, times := range map[string]int{
		">a &lt; b<": 2, ">one<": 1, ">two &amp; more<": 1, ">1,000,000<": 1, ">500<": 2, ">5<": 2, ">75<": 1,
		`stroke="` + palette(0): 2, `stroke="` + palette(1): 3, "NaN": 0, "Inf": 0,
	} {
		if got := strings.Count(svg, text); got != times {
			t.Errorf("%q is there %d times, want %d", text, got, times)
		}
	}
}

func TestScale(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		v, down, up float64
	}{
		{1, 1, 1}, {1.5, 1, 2}, {2, 2, 2}, {4, 2, 5}, {5, 5, 5}, {7, 5, 10}, {10, 10, 10}, {285, 200, 500}, {.03, .02, .05},
	} {
		if down, up := roundDown(c.v), roundUp(c.v); down != c.down || up != c.up {
			t.Errorf("%v: from %v to %v", c.v, down, up)
		}
	}
	d := drawing{low: 5, high: 500}
	if got := d.heights(); !slices.Equal(got, []float64{5, 10, 20, 50, 100, 200, 500}) {
		t.Errorf("heights %v", got)
	}
	if d.height(5) != 0 || d.height(500) != plotHeight {
		t.Errorf("from %v to %v", d.height(5), d.height(500))
	}
	log := scale{true, 1, 1000}
	if got := log.ticks(); !slices.Equal(got, []float64{1, 10, 100, 1000}) || log.at(1000) != plotWidth {
		t.Errorf("ticks %v", got)
	}
}
