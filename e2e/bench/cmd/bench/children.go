package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"mta-sts-daemon/e2e/bench/internal/bed"
	"mta-sts-daemon/e2e/bench/internal/null"
)

// Addresses of the bed in the network namespace of a run.
const (
	dnsAddr   = "127.0.0.1:53"
	httpsAddr = "127.0.0.1:443"
	httpsPort = 443
	// mailAddr is not 127.0.0.1, because Postfix does not send to its own address.
	mailAddr = "127.0.1.1:25"
)

// newNull is the process of a null server.
func newNull() *cobra.Command {
	var tcp, unix, table string
	var batch bool
	c := &cobra.Command{Use: "null", Short: "A server that answers all lookups the same", Hidden: true, Args: cobra.NoArgs}
	c.Flags().StringVar(&tcp, "tcp", "", "where to answer socketmap lookups")
	c.Flags().StringVar(&unix, "unix", "", "the same")
	c.Flags().StringVar(&table, "tcp-table", "", "where to answer tcp_table lookups")
	c.Flags().BoolVar(&batch, "batch", false, "gather replies")
	c.RunE = func(*cobra.Command, []string) error {
		answer := bed.Answer(bed.Domain(0)) // all are as long
		netstring := fmt.Sprintf("%d:OK %s,", len("OK ")+len(answer), answer)
		socketmap := &null.Server{Reply: []byte(netstring), Batch: batch}
		lines := &null.Server{Reply: []byte("200 " + answer + "\n"), Batch: batch, Lines: true}
		var group errgroup.Group
		group.Go(func() error { return serveNull(socketmap, "tcp", tcp) })
		group.Go(func() error { return serveNull(socketmap, "unix", unix) })
		group.Go(func() error { return serveNull(lines, "tcp", table) })
		return group.Wait()
	}
	return c
}

func serveNull(s *null.Server, network, address string) error {
	l, err := net.Listen(network, address)
	if err != nil {
		return err
	}
	return s.Serve(l)
}

// newBed is the process of the bed.
func newBed() *cobra.Command {
	var domains uint32
	var ca string
	c := &cobra.Command{Use: "bed", Short: "A resolver, policy hosts and MX hosts", Hidden: true, Args: cobra.NoArgs}
	c.Flags().Uint32Var(&domains, "domains", 0, "how many domains have a policy host")
	c.Flags().StringVar(&ca, "ca", "", "where to write the authority's certificate")
	c.RunE = func(*cobra.Command, []string) error {
		serve, err := openBed(domains, ca, new(bed.Ledger))
		if err != nil {
			return err
		}
		return serve()
	}
	return c
}

// openBed makes a bed and writes its authority to ca. serve answers until that fails.
func openBed(domains uint32, ca string, ledger *bed.Ledger) (serve func() error, err error) {
	hosts, err := bed.NewHosts(domains, ledger)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(ca, hosts.PEM(), 0o644); err != nil {
		return nil, err
	}
	packets, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(dnsAddr)))
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp4", httpsAddr)
	if err != nil {
		return nil, err
	}
	mail, err := net.Listen("tcp4", mailAddr)
	if err != nil {
		return nil, err
	}
	dns := bed.DNS{PolicyHosts: netip.MustParseAddrPort(httpsAddr).Addr(), MailHosts: netip.MustParseAddrPort(mailAddr).Addr(), Ledger: ledger}
	return func() error {
		var group errgroup.Group
		group.Go(func() error { return dns.Serve(packets) })
		group.Go(func() error { return hosts.Serve(l) })
		group.Go(func() error { return hosts.ServeMail(mail) })
		return group.Wait()
	}, nil
}

// newBare is the process of the bare loops. It prints how long they took.
func newBare() *cobra.Command {
	var from, to uint32
	var absent bool
	var ca string
	bare := bed.Bare{DNS: netip.MustParseAddrPort(dnsAddr), HTTPSPort: httpsPort}
	c := &cobra.Command{Use: "bare", Short: "What a discovery asks for, and nothing else", Hidden: true, Args: cobra.NoArgs}
	c.Flags().Uint32Var(&from, "from", 0, "the first domain")
	c.Flags().Uint32Var(&to, "to", 0, "the one after the last")
	c.Flags().BoolVar(&absent, "absent", false, "domains without a policy")
	c.Flags().IntVar(&bare.Concurrency, "concurrency", 1, "how many at once")
	c.Flags().StringVar(&ca, "ca", "", "the authority's certificate")
	c.RunE = func(*cobra.Command, []string) (err error) {
		if bare.Roots, err = readRoots(ca); err != nil {
			return err
		}
		do := bare.Policies
		if absent {
			do = bare.Absences
		}
		start := time.Now()
		if err := do(from, to); err != nil {
			return err
		}
		fmt.Println(time.Since(start))
		return nil
	}
	return c
}
