package main

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestRow(t *testing.T) {
	t.Parallel()
	baseline := series{server: "null", samples: []sample{
		{rate: 1000, p50: 10 * time.Microsecond, p99: 20 * time.Microsecond, lookups: 1000, cpu: 2 * time.Millisecond},
		{rate: 2000, p50: 10 * time.Microsecond, p99: 20 * time.Microsecond, lookups: 1000, cpu: 2 * time.Millisecond},
		{rate: 4000, p50: 10 * time.Microsecond, p99: 20 * time.Microsecond, lookups: 1000, cpu: 2 * time.Millisecond},
	}}
	for _, c := range []struct {
		what string
		s    series
		want string
	}{
		{"ratios are those of one round", series{server: "ours", samples: []sample{
			{rate: 900, p50: 11 * time.Microsecond, p99: 30 * time.Microsecond, lookups: 1000, cpu: 3 * time.Millisecond},
			{rate: 1000, p50: 12 * time.Microsecond, p99: 40 * time.Microsecond, lookups: 1000, cpu: 2 * time.Millisecond},
			{rate: 3200, p50: 13 * time.Microsecond, p99: 50 * time.Microsecond, lookups: 1000, cpu: 4 * time.Millisecond},
		}}, "| TCP | ours | 1000 | 0.80 | 0.50 to 0.90 | 12 | 40 | 2.00 | 3.0 | 1.50 |"},
		{"what is not known has no cell", series{server: "loop", samples: []sample{{rate: 500}, {rate: 1000}, {rate: 2000}}},
			"| TCP | loop | 1000 | 0.50 | 0.50 to 0.50 |  |  |  |  |  |"},
		{"wrong replies are told", series{server: "broken", samples: []sample{{rate: 1000, wrong: 1}, {rate: 2000}, {rate: 4000, wrong: 2}}},
			"| TCP | broken | 2000 | 1.00 | 1.00 to 1.00 |  |  |  |  |  | 3 wrong replies"},
	} {
		if got := row("TCP", c.s, baseline); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.what, got, c.want)
		}
	}
}

func TestReadUnitEnv(t *testing.T) {
	t.Parallel()
	env, err := readUnitEnv("../../../../mta-sts-daemon.service")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(env, func(a string) bool { return strings.HasPrefix(a, "GOGC=") }) {
		t.Errorf("no GOGC in %q", env)
	}
}
