package main

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mta-sts-daemon/e2e/bench/internal/bed"
	"mta-sts-daemon/e2e/internal/peers"
)

// fleet is daemons that share their policies. Its domains have numbers, of which the
// first have a policy.
type fleet struct {
	*bench
	nodes, connections int
	domains            uint32
	percent            uint32 // of the domains have a policy
	life               time.Duration

	ledger  bed.Ledger
	store   *cluster
	running []*running
	renewed map[string]bool // domains with the second policy
	table   fleetTable
}

func newFleet(b *bench) *cobra.Command {
	f := &fleet{bench: b, table: fleetTable{cells: map[string][]string{}}}
	c := &cobra.Command{Use: "fleet", Short: "Many daemons that share their policies on a Valkey cluster", Args: cobra.NoArgs,
		RunE: b.part(func(*bench) error { return f.run() })}
	flags := c.Flags()
	flags.IntVar(&f.nodes, "nodes", 20, "how many daemons")
	flags.IntVar(&f.connections, "connections", 2, "how many lookups are under way at each of them")
	flags.Uint32Var(&f.domains, "domains", 100_000, "how many domains all of them look up")
	flags.Uint32Var(&f.percent, "policies", 5, "how many of 100 domains have a policy")
	flags.DurationVar(&f.life, "life", 12*time.Minute, "when the TTLs of the first answers end; first lookups and restarts should take less")
	return c
}

const (
	// renewedDomains is how many domains get a new policy, at most half of those that have
	// one.
	renewedDomains = 1000

	// minRecordLife is how long a daemon believes an answer at least.
	minRecordLife = time.Minute
)

func (f *fleet) policies() uint32 { return uint32(uint64(f.domains) * uint64(f.percent) / 100) }

func (f *fleet) run() error {
	if f.nodes < 1 || f.connections < 1 || f.policies() < 2 || f.policies() > f.domains {
		return errors.New("too few nodes, connections or domains, or too many of them with a policy")
	}
	stop, err := f.start()
	defer stop()
	if err != nil {
		return err
	}
	all, policies := numbers(0, f.domains), f.policies()
	renewed := min(renewedDomains, policies/2)
	// The domains with a new id are not looked up before that, and of those without a policy
	// as many are as have one.
	known := numbers(renewed, min(2*policies, f.domains))
	f.ledger.ExpireAt(time.Now().Add(f.life))
	began := time.Now()

	if err := f.phase("first lookups", all, f.lookUp); err != nil {
		return err
	}
	if err := f.phase("restart of all nodes", all, f.restart); err != nil {
		return err
	}
	if took := time.Since(began); took > f.life {
		f.table.notes = append(f.table.notes, fmt.Sprintf("Lookups and restarts took %v, so records were due before the end of --life, %v", took.Round(time.Second), f.life))
	}
	due := time.Now().Add(minRecordLife + time.Second) // times in the store are whole seconds
	if end := began.Add(f.life + time.Second); end.After(due) {
		due = end
	}
	time.Sleep(time.Until(due))
	f.ledger.ExpireLate()
	if err := f.phase("second lookups, TTL over", known, f.lookUp); err != nil {
		return err
	}
	f.renew(renewed)
	if err := f.phase("a new id", numbers(0, renewed), f.spread); err != nil {
		return err
	}
	if err := f.warnings(); err != nil {
		return err
	}
	fmt.Printf("\nA fleet: %d nodes, %d domains, %d of them with a policy\n\n", f.nodes, f.domains, policies)
	f.table.print()
	return nil
}

func numbers(from, to uint32) (list []uint32) {
	for n := from; n < to; n++ {
		list = append(list, n)
	}
	return list
}

func (f *fleet) renew(domains uint32) {
	f.renewed = map[string]bool{}
	for n := range domains {
		f.renewed[bed.Domain(n)] = true
	}
	f.ledger.Renew(maps.Clone(f.renewed))
}

// start starts everything. stop is to be called after an error too.
func (f *fleet) start() (stop func(), err error) {
	f.store = &cluster{}
	stop = func() {
		for _, r := range slices.Concat(f.running, f.store.running) {
			r.stop()
		}
	}
	serve, err := openBed(f.policies(), f.caFile(), &f.ledger)
	if err != nil {
		return stop, err
	}
	go func() {
		if err := serve(); err != nil {
			fmt.Fprintln(os.Stderr, "bench: the bed:", err)
		}
	}()
	if err := f.store.start(f.bench); err != nil {
		return stop, err
	}
	for i := range f.nodes {
		r, err := f.bench.start(f.node(i))
		if err != nil {
			return stop, err
		}
		f.running = append(f.running, r)
	}
	return stop, nil
}

const (
	// firstNodePort is that of the first node; the others follow.
	firstNodePort = 9001

	// storeTimeout is longer than the default, because a node that gets no answer in time asks
	// the network. On a busy machine that would be counted.
	storeTimeout = time.Second
)

func nodeAddr(i int) string { return fmt.Sprintf("127.0.0.1:%d", firstNodePort+i) }

func (f *fleet) node(i int) server {
	addr := nodeAddr(i)
	return server{everywhere: true, Server: peers.Server{
		Name: fmt.Sprintf("node %d", i), TCP: addr,
		Command: []string{f.program, "serve", "--config", "{dir}/config.yaml"},
		Env:     f.unitEnv,
		Files: map[string]string{
			"key": strings.Repeat("8461", 16),
			"config.yaml": `
listen: {socketmap: ["` + addr + `"]}
dns: {servers: ["` + dnsAddr + `"], dane: ` + daneOff + `}
fetch: {allow_networks: [127.0.0.0/8]}
cache: {file: "{dir}/policies.db", shared: {url: "` + f.store.url() + `", key_file: "{dir}/key", timeout: ` + storeTimeout.String() + `}}
admin: {socket: "{dir}/admin.sock"}
`},
	}}
}

// lookUp has every node look up the domains, each in an order of its own.
func (f *fleet) lookUp(domains []uint32) (*tally, error) {
	t := f.mailers(func(node, connection int, m *mailer) {
		order := slices.Clone(domains)
		r := rand.New(rand.NewPCG(uint64(node), 1)) // the same for all its connections
		r.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for i := connection; i < len(order); i += f.connections {
			m.check(f.name(order[i]), f.want(order[i]))
		}
	})
	t.onlyLookups = true
	return t, nil
}

// restartPause is how long each connection rests between two lookups during restarts.
const restartPause = 10 * time.Millisecond

// restart restarts one node after the other, while all look up domains.
func (f *fleet) restart(domains []uint32) (*tally, error) {
	ended := make(chan struct{})
	var err error
	go func() {
		defer close(ended)
		for i, old := range f.running {
			old.stop()
			var r *running
			if r, err = f.launch(old.server, old.dir); err != nil {
				return
			}
			f.running[i] = r
		}
	}()
	t := f.mailers(func(_, _ int, m *mailer) {
		again := time.NewTicker(restartPause)
		defer again.Stop()
		for {
			n := domains[rand.IntN(len(domains))]
			m.check(f.name(n), f.want(n))
			select {
			case <-again.C:
			case <-ended:
				return
			}
		}
	})
	<-ended
	return t, err
}

// warnings notes how many warnings the nodes have logged, and the first.
func (f *fleet) warnings() error {
	count, first := 0, ""
	for _, r := range f.running {
		text, err := os.ReadFile(filepath.Join(r.dir, logFile))
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, "level=WARN") || strings.Contains(line, "level=ERROR") {
				if count++; count == 1 {
					first = strings.TrimSpace(line)
				}
			}
		}
	}
	if count > 0 {
		f.table.notes = append(f.table.notes, fmt.Sprintf("%d warnings, the first: %s", count, first))
	}
	return nil
}
