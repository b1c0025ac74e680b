package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"mta-sts-daemon/e2e/bench/internal/load"
	"mta-sts-daemon/e2e/bench/internal/proc"
)

// sample is what one load of one server has shown.
type sample struct {
	lookups  int
	rate     float64       // lookups per second
	p50, p99 time.Duration // 0: not known
	cpu      time.Duration // of the server, for all lookups; 0: not known
	wrong    int           // replies that should have been others
	busy     [2]float64    // how much of the time the servers' processor and the load's were in use; 0: not known
}

// measure puts a load on a server whose replies should all be of one kind, or of two if
// some keys have no policy. Its process is looked at unless pid is 0.
func measure(pid int, l load.Load, wantFound bool) (s sample, err error) {
	var before, after time.Duration
	if pid != 0 {
		if before, err = proc.CPUTime(pid); err != nil {
			return sample{}, err
		}
	}
	result, err := load.Run(l)
	if err != nil {
		return sample{}, err
	}
	if pid != 0 {
		if after, err = proc.CPUTime(pid); err != nil {
			return sample{}, err
		}
	}
	s = sample{
		lookups: result.Lookups,
		rate:    result.Rate(),
		p50:     result.Latency.Quantile(.5),
		p99:     result.Latency.Quantile(.99),
		cpu:     after - before,
		wrong:   max(result.Lookups-result.Found-l.Keys.Absent, 0), // a null server finds them too
	}
	if !wantFound {
		s.wrong = result.Lookups - result.NotFound
	}
	return s, nil
}

// series are the samples of one server under one load, one a round.
type series struct {
	server  string
	samples []sample
	failed  error // the reason that it was left out
}

// median of what get gives of the samples.
func (s series) median(get func(sample) float64) float64 {
	var values []float64
	for _, sample := range s.samples {
		values = append(values, get(sample))
	}
	slices.Sort(values)
	return middle(values)
}

// cpu is the processor time of the server for a lookup in microseconds, over all
// rounds: the kernel counts in steps of 10 ms.
func (s series) cpu() float64 {
	var cpu time.Duration
	lookups := 0
	for _, sample := range s.samples {
		cpu += sample.cpu
		lookups += sample.lookups
	}
	return float64(cpu.Microseconds()) / float64(lookups)
}

// ratios returns get divided by the baseline's get in the same round, in
// ascending order. It leaves out rounds with an unknown value.
func (s series) ratios(baseline series, get func(sample) float64) (ratios []float64) {
	for i, sample := range s.samples {
		if base := get(baseline.samples[i]); base != 0 {
			ratios = append(ratios, get(sample)/base)
		}
	}
	slices.Sort(ratios)
	return ratios
}

func rate(s sample) float64 { return s.rate }
func p50(s sample) float64  { return float64(s.p50.Microseconds()) }
func p99(s sample) float64  { return float64(s.p99.Microseconds()) }

// heading is that of the tables that row prints.
const heading = `
| load | server | lookups/s | ratio | middle half | p50 µs | p99 µs | ratio | CPU µs | ratio |
|---|---|--:|--:|---|--:|--:|--:|--:|--:|`

// row is a line of a table: a server's medians, and ratios to the baseline.
func row(load string, s, baseline series) string {
	ratios := s.ratios(baseline, rate)
	quarter := len(ratios) / 4
	cells := []string{load, s.server, known(s.median(rate), "%.0f"), known(middle(ratios), "%.2f"),
		fmt.Sprintf("%.2f to %.2f", ratios[quarter], ratios[len(ratios)-1-quarter]),
		known(s.median(p50), "%.0f"), known(s.median(p99), "%.0f"), known(middle(s.ratios(baseline, p99)), "%.2f"),
		known(s.cpu(), "%.1f"), known(s.cpu()/baseline.cpu(), "%.2f"),
	}
	line := "| " + strings.Join(cells, " | ") + " |"
	wrong := 0
	for _, sample := range s.samples {
		wrong += sample.wrong
	}
	if wrong > 0 {
		line += fmt.Sprintf(" %d wrong replies", wrong)
	}
	return line
}

// middle is the median of values in ascending order; 0 without values.
func middle(sorted []float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[len(sorted)/2]
}

// known formats a value; an unknown one is "-".
func known(v float64, format string) string {
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return ""
	}
	return fmt.Sprintf(format, v)
}
