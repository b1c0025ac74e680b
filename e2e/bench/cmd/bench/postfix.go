package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mta-sts-daemon/e2e/bench/internal/bed"
	"mta-sts-daemon/e2e/bench/internal/postfix"
	"mta-sts-daemon/e2e/bench/internal/proc"
)

const (
	// postfixRounds is the default of rounds here: a round takes minutes.
	postfixRounds = 3
	manyDomains   = 500
	fewDomains    = 5
	// singleShare is the divisor of messages for the load without concurrency.
	singleShare = 5
)

// mailFlags are those of the postfix part alone.
type mailFlags struct {
	suites   []string
	trees    string
	messages int
	settings []string
	variants string
}

func (b *bench) newPostfix() *cobra.Command {
	c := &cobra.Command{Use: "postfix", Short: "Mail that a real Postfix sends; as root", Args: cobra.NoArgs}
	f := c.Flags()
	f.StringSliceVar(&b.mail.suites, "suites", []string{"bookworm", "trixie", "forky"}, "releases of Debian whose Postfix is used")
	f.StringVar(&b.mail.trees, "trees", "build/e2e/roots", "where the end-to-end tests unpack them")
	f.IntVar(&b.mail.messages, "messages", 5000, "how many messages are sent in each measurement")
	f.StringVar(&b.mail.variants, "variants", "", "which ones are compared to the first, by words of their names, such as \"tlspol, cold\"")
	f.StringArrayVar(&b.mail.settings, "main-cf", nil, "a line of main.cf for all, such as \"smtp_tls_connection_reuse = yes\"")
	c.RunE = func(c *cobra.Command, args []string) error {
		if os.Geteuid() != 0 {
			return errors.New("only root can run Postfix, which needs several users")
		}
		if !c.Flags().Changed("rounds") {
			b.rounds = postfixRounds
		}
		return b.part((*bench).postfix)(c, args)
	}
	return c
}

// mailing is a load of messages.
type mailing struct {
	name     string
	messages int
	domains  uint32
	settings []string // of main.cf
}

func (b *bench) mailings() []mailing {
	n := b.mail.messages
	return []mailing{
		{name: fmt.Sprintf("%d messages to %d domains", n, manyDomains), messages: n, domains: manyDomains},
		{name: fmt.Sprintf("%d messages to %d domains", n, fewDomains), messages: n, domains: fewDomains},
		{name: fmt.Sprintf("%d messages to %d domains, one at a time", n/singleShare, manyDomains), messages: n / singleShare,
			domains: manyDomains, settings: []string{postfix.OneAtATime}},
	}
}

// variant is a Postfix with or without a server that it asks.
type variant struct {
	name     string
	settings []string // of main.cf
	server   *server  // nil: Postfix asks nobody
	warm     bool     // the server knows all domains
	verified bool     // certificates must be verified
}

// variants begins with the baseline: the same TLS as with policies, but without a lookup.
// A Postfix that verifies nothing shows what that costs.
func (b *bench) variants(domains uint32) (all []variant, err error) {
	all = []variant{
		{name: "no map, secure", settings: []string{"smtp_tls_security_level = secure"}, verified: true},
		{name: "no map, may", settings: []string{"smtp_tls_security_level = may"}},
	}
	add := func(warm, cold server) error {
		target, ok := warm.target(overTCP)
		if !ok {
			return fmt.Errorf("%s: Postfix in a chroot needs a TCP address of its map", warm.Name)
		}
		settings := []string{"smtp_tls_security_level = may",
			fmt.Sprintf("smtp_tls_policy_maps = socketmap:inet:%s:%s", target.Address, warm.Map)}
		all = append(all,
			variant{name: warm.Name + ", warm", settings: settings, server: &warm, warm: true, verified: true},
			variant{name: warm.Name + ", cold", settings: settings, server: &cold, verified: true})
		return nil
	}
	for _, dane := range []string{daneOff, daneOn} {
		if err := add(b.ours(dane, domains), b.ours(dane, 0)); err != nil {
			return nil, err
		}
	}
	for _, peer := range b.peers {
		if err := add(peer, peer); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(all, func(v variant) bool {
		return v.name != all[0].name && !strings.Contains(v.name, b.mail.variants)
	}), nil
}

// postfix measures how fast Postfix sends mail. Postfix and the server that it asks share
// a processor, because they would share a mail server; the world has the other one.
func (b *bench) postfix() error {
	stop, err := b.startBed(manyDomains)
	if err != nil {
		return err
	}
	defer stop()
	for _, suite := range b.mail.suites {
		root, err := postfix.NewRoot(b.mail.trees, suite, filepath.Join(b.dir, suite), b.caFile())
		if err != nil {
			return err
		}
		for _, m := range b.mailings() {
			if !strings.Contains(m.name, b.only) {
				continue
			}
			if err := b.send(root, m); err != nil {
				return fmt.Errorf("%s: %s: %w", suite, m.name, err)
			}
		}
	}
	return nil
}

// send measures a load with all variants and prints a table.
func (b *bench) send(root *postfix.Root, m mailing) error {
	variants, err := b.variants(m.domains)
	if err != nil {
		return err
	}
	results := make([]series, len(variants))
	var version string
	for round := range b.rounds {
		for i := range variants {
			i = (i + round) % len(variants) // nobody is always the first
			var s sample
			if s, version, err = b.sendOnce(root, m, variants[i]); err != nil {
				return fmt.Errorf("%s: %w", variants[i].name, err)
			}
			results[i].server = variants[i].name
			results[i].samples = append(results[i].samples, s)
		}
	}
	fmt.Printf("\nPostfix %s: %s\n%s\n", version, m.name, mailHeading)
	for _, s := range results {
		fmt.Println(mailRow(s, results[0]))
	}
	return nil
}

// sendOnce starts Postfix and the server afresh and measures the delivery of messages that
// are in the queue already.
func (b *bench) sendOnce(root *postfix.Root, m mailing, v variant) (s sample, version string, err error) {
	mta, err := root.Start(b.cpus.Server, append(append(v.settings[:len(v.settings):len(v.settings)], m.settings...), b.mail.settings...)...)
	if err != nil {
		return s, "", err
	}
	defer func() { err = errors.Join(err, mta.Stop()) }()
	recipients := make([]string, m.messages)
	for i := range recipients {
		recipients[i] = "user@" + bed.Domain(uint32(i)%m.domains)
	}
	if err := mta.Hold(recipients); err != nil {
		return s, "", err
	}
	pid := 0
	if v.server != nil {
		r, err := b.start(*v.server)
		if err != nil {
			return s, "", err
		}
		defer r.stop()
		if v.warm {
			if err := r.know(m.domains); err != nil {
				return s, "", err
			}
		}
		pid = r.pid
	}
	before, err := b.readClocks(pid)
	if err != nil {
		return s, "", err
	}
	d, err := mta.Release(m.messages, v.verified)
	if err != nil {
		return s, "", err
	}
	after, err := b.readClocks(pid)
	if err != nil {
		return s, "", err
	}
	s = sample{lookups: m.messages, rate: float64(m.messages) / d.Took.Seconds(), cpu: after.server - before.server,
		p50: d.Setup.Quantile(.5), p99: d.Setup.Quantile(.99)}
	for i := range s.busy {
		s.busy[i] = 1 - float64(after.idle[i]-before.idle[i])/float64(after.at.Sub(before.at))
	}
	return s, mta.Version(), nil
}

// clocks are times before or after a measurement.
type clocks struct {
	at     time.Time
	server time.Duration    // processor time of the server; 0 without one
	idle   [2]time.Duration // of the servers' processor and the load's
}

func (b *bench) readClocks(pid int) (c clocks, err error) {
	c.at = time.Now()
	if pid != 0 {
		if c.server, err = proc.CPUTime(pid); err != nil {
			return c, err
		}
	}
	for i, cpu := range []int{b.cpus.Server, b.cpus.Load} {
		if c.idle[i], err = proc.Idle(cpu); err != nil {
			return c, err
		}
	}
	return c, nil
}

// mailHeading is that of the tables that mailRow prints. Setup is the delay that Postfix
// logs before the transmission of a message, with the lookup of its policy.
const mailHeading = `
| variant | messages/s | ratio | middle half | setup p50 ms | p99 ms | server's CPU µs | Postfix's processor busy | the world's |
|---|--:|--:|---|--:|--:|--:|--:|--:|`

func mailRow(s, baseline series) string {
	ratios := s.ratios(baseline, rate)
	quarter := len(ratios) / 4
	cells := []string{s.server, known(s.median(rate), "%.0f"), known(middle(ratios), "%.3f"),
		fmt.Sprintf("%.3f to %.3f", ratios[quarter], ratios[len(ratios)-1-quarter]),
		known(s.median(p50)/1e3, "%.2f"), known(s.median(p99)/1e3, "%.2f"), known(s.cpu(), "%.0f"),
	}
	for i := range s.samples[0].busy {
		cells = append(cells, known(100*s.median(func(s sample) float64 { return s.busy[i] }), "%.0f %%"))
	}
	return "| " + strings.Join(cells, " | ") + " |"
}
