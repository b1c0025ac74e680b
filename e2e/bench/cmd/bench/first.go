package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"mta-sts-daemon/e2e/bench/internal/bed"
	"mta-sts-daemon/e2e/bench/internal/far"
	"mta-sts-daemon/e2e/bench/internal/load"
	"mta-sts-daemon/e2e/internal/peers"
)

// kind is a kind of domains whose first lookups are measured.
type kind struct {
	name   string
	policy bool // it has a policy, which every server should find
	slow   bool // some servers take seconds, so few domains are asked for
	far.Domain
}

// slowDomains is how many domains of a slow kind are asked for.
const slowDomains = 5

// Records of domains, in which %s is the domain.
const (
	stsRecord    = `_mta-sts.%s. 3600 IN TXT "` + bed.Record + `"`
	policyIPv4   = "mta-sts.%s. 3600 IN A " + far.HostIPv4
	policyIPv6   = "mta-sts.%s. 3600 IN AAAA " + far.HostIPv6
	policySilent = "mta-sts.%s. 3600 IN AAAA " + far.Silent
	ownAddress   = "%s. 3600 IN A " + far.HostIPv4
)

// mxHosts returns the records of so many MX hosts and their addresses.
func mxHosts(hosts int, tlsa bool) (records []string) {
	for i := range hosts {
		host := fmt.Sprintf("mx%d.%%s.", i+1)
		records = append(records, fmt.Sprintf("%%s. 3600 IN MX %d %s", i, host), host+" 3600 IN A "+far.HostIPv4)
		if tlsa {
			records = append(records, fmt.Sprintf("_25._tcp.%s 3600 IN TLSA 3 1 1 %064x", host, i))
		}
	}
	return records
}

// kinds are those that a first lookup needs different questions for.
func kinds() []kind {
	of := func(records ...string) far.Domain { return far.Domain{Records: append(mxHosts(1, false), records...)} }
	withTLSA := func(hosts int, records ...string) far.Domain {
		return far.Domain{Records: append(mxHosts(hosts, true), records...)}
	}
	unsigned, broken, mute := of(), of(stsRecord, policyIPv4), of(stsRecord, policyIPv4)
	unsigned.Unsigned = true
	broken.Broken = []string{"mta-sts.%s"}
	mute.Mute = broken.Broken
	return []kind{
		{name: "no record, not signed", Domain: unsigned},
		{name: "no record, signed", Domain: of()},
		{name: "no record, no MX, signed", Domain: far.Domain{Records: []string{ownAddress}}},
		{name: "no record, TLSA", Domain: withTLSA(1)},
		{name: "no record, 5 MX hosts with TLSA", Domain: withTLSA(5)},
		{name: "policy", policy: true, Domain: of(stsRecord, policyIPv4)},
		{name: "policy and TLSA", policy: true, Domain: withTLSA(1, stsRecord, policyIPv4)},
		{name: "policy host with IPv6 and IPv4", policy: true, Domain: of(stsRecord, policyIPv4, policyIPv6)},
		{name: "its AAAA question fails", policy: true, Domain: broken},
		{name: "its AAAA question is not answered", policy: true, slow: true, Domain: mute},
		{name: "its IPv6 address does not answer", policy: true, slow: true, Domain: of(stsRecord, policyIPv4, policySilent)},
	}
}

// newFar is the process of the far servers: a resolver and the policy hosts of so
// many domains of each kind. The n-th kind has the n-th of these many domains.
func newFar() *cobra.Command {
	var domains uint32
	var roundTrip time.Duration
	var ca string
	c := &cobra.Command{Use: "far", Short: "A resolver and policy hosts some way off", Hidden: true, Args: cobra.NoArgs}
	c.Flags().Uint32Var(&domains, "domains", 0, "how many of each kind")
	c.Flags().DurationVar(&roundTrip, "rtt", 0, "how far off")
	c.Flags().StringVar(&ca, "ca", "", "where to write the authority's certificate")
	c.RunE = func(*cobra.Command, []string) error {
		resolver := far.NewResolver(roundTrip)
		for i, k := range kinds() {
			for n := range domains {
				if err := resolver.Add(bed.Domain(uint32(i)*domains+n), k.Domain); err != nil {
					return err
				}
			}
		}
		hosts, err := bed.NewHosts(uint32(len(kinds()))*domains, new(bed.Ledger))
		if err != nil {
			return err
		}
		if err := os.WriteFile(ca, hosts.PEM(), 0o644); err != nil {
			return err
		}
		network, err := far.New(roundTrip / 2)
		if err != nil {
			return err
		}
		packets, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(dnsAddr)))
		if err != nil {
			return err
		}
		l, err := net.Listen("tcp", fmt.Sprintf("[::]:%d", httpsPort)) // for IPv4 too
		if err != nil {
			return err
		}
		var group errgroup.Group
		group.Go(network.Run)
		group.Go(func() error { return resolver.Serve(packets) })
		group.Go(func() error { return hosts.Serve(l) })
		return group.Wait()
	}
	return c
}

// first measures how long the first lookup of a domain takes with all servers some
// way off, one lookup after the other.
func (b *bench) first() error {
	domains := uint32(b.rounds)
	cmd := exec.Command(program, "far", "--ca", b.caFile(), "--domains", fmt.Sprint(domains), "--rtt", b.roundTrip.String())
	cmd.Stderr = os.Stderr
	world, err := run(server{Server: peers.Server{Name: "far", TCP: httpsAddr}}, cmd, b.cpus.Load)
	if err != nil {
		return err
	}
	defer world.stop()
	servers, stop, err := b.startAll(0, append([]server{b.ours(daneOff, 0), b.ours(daneOn, 0)}, b.peers...)...)
	defer stop()
	if err != nil {
		return err
	}
	fmt.Printf("\nFirst: %d domains of each kind, all servers %v away; round trips, median\n\n| domain |", domains, b.roundTrip)
	for _, r := range servers {
		fmt.Printf(" %s |", r.Name)
	}
	fmt.Printf("\n|---|%s\n", strings.Repeat("---|", len(servers)))
	for i, k := range kinds() {
		from, to := uint32(i)*domains, uint32(i+1)*domains
		if k.slow {
			to = min(to, from+slowDomains)
		}
		fmt.Printf("| %s |", k.name)
		for _, r := range servers {
			cell, err := b.firstOf(r, k, from, to)
			if err != nil {
				return fmt.Errorf("%s: %s: %w", r.Name, k.name, err)
			}
			fmt.Printf(" %s |", cell)
		}
		fmt.Println()
	}
	return nil
}

// firstOf measures the first lookups of domains of one kind and returns the cell for
// them. Other work on the machine can only make a lookup longer, so the shortest one has
// the number of round trips.
func (b *bench) firstOf(r *running, k kind, from, to uint32) (cell string, err error) {
	found := 0
	var took []time.Duration
	target, _ := r.target(overTCP)
	for n := from; n < to; n++ {
		result, err := load.Run(load.Load{Target: target, Connections: 1, Pipeline: 1, Keys: load.Each(bed.AppendDomain, n, n+1)})
		if err != nil {
			return "", err
		}
		found += result.Found
		took = append(took, result.Took)
	}
	slices.Sort(took)
	cell = fmt.Sprintf("%d, %.0f ms", took[0]/b.roundTrip, took[len(took)/2].Seconds()*1000)
	if k.policy && found < len(took) {
		cell += fmt.Sprintf(", without the policy %d times of %d", len(took)-found, len(took))
	}
	return cell, nil
}
