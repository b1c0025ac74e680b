package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"mta-sts-daemon/e2e/bench/internal/bed"
	"mta-sts-daemon/e2e/bench/internal/load"
	"mta-sts-daemon/e2e/bench/internal/proc"
	"mta-sts-daemon/e2e/internal/peers"
)

// coldConnections is how many lookups are in flight in the cold part.
const coldConnections = 64

func (b *bench) caFile() string { return filepath.Join(b.dir, "ca.pem") }

// startBed starts the bed, beside the load, for so many domains with a policy.
func (b *bench) startBed(domains uint32) (stop func(), err error) {
	cmd := exec.Command(program, "bed", "--ca", b.caFile(), "--domains", fmt.Sprint(domains))
	cmd.Stderr = os.Stderr
	r, err := run(server{Server: peers.Server{Name: "bed", TCP: httpsAddr}}, cmd, b.cpus.Load)
	if err != nil {
		return nil, err
	}
	return r.stop, nil
}

// cold measures lookups of domains that have not been asked for before, in each
// round others, beside a bare loop that does what such a lookup needs.
func (b *bench) cold() error {
	stop, err := b.startBed(uint32(b.rounds) * b.policies)
	if err != nil {
		return err
	}
	defer stop()
	servers, stop, err := b.startAll(0, append([]server{b.ours(daneOff, 0), b.ours(daneOn, 0)}, b.peers...)...)
	defer stop()
	if err != nil {
		return err
	}
	fmt.Printf("\nCold: %d connections, each domain once\n%s\n", coldConnections, heading)
	if err := b.discover("with a policy", b.policies, false, servers); err != nil {
		return err
	}
	return b.discover("without", b.absences, true, servers)
}

// discover measures so many domains a round.
func (b *bench) discover(what string, domains uint32, absent bool, servers []*running) error {
	results := make([]series, 1+len(servers))
	results[0].server = "bare loop"
	name := bed.AppendDomain
	if absent {
		name = bed.AppendAbsent
	}
	for round := range uint32(b.rounds) {
		from, to := round*domains, (round+1)*domains
		s, err := b.bare(from, to, absent)
		if err != nil {
			return err
		}
		results[0].samples = append(results[0].samples, s)
		for i, r := range servers {
			target, _ := r.target(overTCP)
			s, err := measure(r.pid, load.Load{
				Target: target, Connections: coldConnections, Pipeline: 1, Keys: load.Each(name, from, to),
			}, !absent)
			if err != nil {
				return fmt.Errorf("%s: %w", r.Name, err)
			}
			results[i+1].server = r.Name
			results[i+1].samples = append(results[i+1].samples, s)
		}
	}
	for _, s := range results {
		fmt.Println(row(what, s, results[0]))
	}
	return nil
}

// bare runs the bare loop on the servers' processor.
func (b *bench) bare(from, to uint32, absent bool) (sample, error) {
	cmd := exec.Command(program, "bare", "--ca", b.caFile(), "--concurrency", fmt.Sprint(coldConnections),
		"--from", fmt.Sprint(from), "--to", fmt.Sprint(to), fmt.Sprintf("--absent=%t", absent))
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := proc.Start(cmd, b.cpus.Server); err != nil {
		return sample{}, err
	}
	if err := cmd.Wait(); err != nil {
		return sample{}, fmt.Errorf("bare loop: %w", err)
	}
	took, err := time.ParseDuration(strings.TrimSpace(out.String()))
	if err != nil {
		return sample{}, fmt.Errorf("bare loop: %w", err)
	}
	used := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	lookups := int(to - from)
	return sample{lookups: lookups, rate: float64(lookups) / took.Seconds(), cpu: used}, nil
}

func readRoots(path string) (*x509.CertPool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, errors.New(path + " holds no certificate")
	}
	return roots, nil
}
