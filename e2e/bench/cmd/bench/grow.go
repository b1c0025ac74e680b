package main

import (
	"fmt"

	"mta-sts-daemon/e2e/bench/internal/bed"
	"mta-sts-daemon/e2e/bench/internal/load"
	"mta-sts-daemon/e2e/bench/internal/proc"
)

// grow measures the daemon with more and more policies in its file, all asked for
// alike or a few of them most often, and with many connections. With a file for a chart
// it draws that instead.
func (b *bench) grow() error {
	if b.chart != "" {
		return b.drawChart()
	}
	for _, size := range b.sizes {
		if err := b.growTo(uint32(size)); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) growTo(policies uint32) error {
	servers, stop, err := b.startAll(0, nullServer(false), b.ours(daneOff, policies))
	defer stop()
	if err != nil {
		return err
	}
	baseline, daemon := servers[0], servers[1]
	if err := daemon.settle(); err != nil { // it checks its file
		return err
	}
	if err := daemon.know(policies); err != nil {
		return err
	}
	memory, err := proc.Anonymous(daemon.pid)
	if err != nil {
		return err
	}
	fmt.Printf("\nGrowing: %d policies, %.1f MB of memory after a lookup of each\n%s\n",
		policies, float64(memory)/1e6, heading)
	alike, zipf := load.Uniform(bed.AppendDomain, policies), load.Zipf(bed.AppendDomain, policies)
	for _, step := range []struct {
		what        string
		connections int
		keys        load.Keys
	}{
		{"all domains alike, 64 connections", 64, alike},
		{"few domains often, 64 connections", 64, zipf},
		{"all domains alike, 1000 connections", 1000, alike},
	} {
		if err := b.compare(step.what, workload{overTCP, step.connections, 1, false}, step.keys, baseline, daemon); err != nil {
			return err
		}
	}
	return nil
}
