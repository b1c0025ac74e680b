package main

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"mta-sts-daemon/e2e/bench/internal/bed"
	"mta-sts-daemon/e2e/bench/internal/load"
)

// profile records with perf(1) where the daemon spends its time under a few
// loads, each in a file of its own: perf report -i FILE.
func (b *bench) profile() error {
	stop, err := b.startBed(0)
	if err != nil {
		return err
	}
	defer stop()
	warm := load.Load{Connections: 64, Pipeline: 1, Keys: load.Uniform(bed.AppendDomain, b.domains), Duration: b.time}
	pipelined := warm
	pipelined.Connections, pipelined.Pipeline = 8, 16
	reconnecting := warm
	reconnecting.Connections, reconnecting.Reconnect = 8, true
	absent := load.Load{Connections: coldConnections, Pipeline: 1, Keys: load.Each(bed.AppendAbsent, 0, b.absences)}
	for _, p := range []struct {
		file string
		dane string
		load load.Load
	}{
		{"warm.perf", daneOff, warm},
		{"pipelined.perf", daneOff, pipelined},
		{"reconnecting.perf", daneOff, reconnecting},
		{"absent.perf", daneOff, absent},
		{"absent-dane.perf", daneOn, absent},
	} {
		if err := b.profileOne(p.file, b.ours(p.dane, b.domains), p.load); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) profileOne(file string, s server, l load.Load) error {
	r, err := b.start(s)
	if err != nil {
		return err
	}
	defer r.stop()
	perf := exec.Command("perf", "record", "-q", "-g", "-p", fmt.Sprint(r.pid), "-o", file)
	perf.Stderr = os.Stderr
	if err := perf.Start(); err != nil {
		return err
	}
	l.Target, _ = r.target(overTCP)
	result, err := load.Run(l)
	perf.Process.Signal(syscall.SIGINT) // on which it writes and ends
	perf.Wait()
	if err != nil {
		return err
	}
	fmt.Printf("%s: %.0f lookups/s\n", file, result.Rate())
	return nil
}
