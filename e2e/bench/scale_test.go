package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"mta-sts-daemon/e2e/bench/internal/bed"
	"mta-sts-daemon/e2e/bench/internal/load"
	"mta-sts-daemon/e2e/bench/internal/proc"
	"mta-sts-daemon/socketmap"
)

const (
	// negativesEnv names how many domains without a policy are asked for.
	negativesEnv     = "BENCH_NEGATIVES"
	defaultNegatives = 10_000
	floodConnections = 64

	// known is how many domains a probe asks for again and again.
	known = 1000
	// probes is how many lookups a probe makes, of each kind, with a pause after
	// each: about ten seconds.
	probes     = 3000
	probePause = time.Millisecond

	// idleLimit is how long background work of a large file may take.
	idleLimit = 20 * time.Minute
)

// probed are the latencies of lookups of known domains: of the same few, which memory
// has, and of any, which are mostly read from a large file, with a recheck.
type probed struct{ memory, file load.Histogram }

func (p *probed) report(b *testing.B, when string) {
	for kind, h := range map[string]*load.Histogram{"memory": &p.memory, "file": &p.file} {
		for name, quantile := range map[string]float64{"p50": .5, "p99": .99, "slowest": 1} {
			b.ReportMetric(float64(h.Quantile(quantile).Microseconds()), "us-"+kind+"-"+when+"-"+name)
		}
	}
}

// probe looks known domains up, one after another, until it has made its lookups, or
// until done is closed if it is not nil.
func (d bench) probe(b *testing.B, policies int, done <-chan struct{}) (p probed) {
	b.Helper()
	client, err := socketmap.Dial(context.Background(), "unix", d.socket)
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	lookUp := func(h *load.Histogram, n int) {
		domain := bed.Domain(uint32(n))
		began := time.Now()
		reply, err := client.Lookup(context.Background(), "postfix", domain)
		h.Add(time.Since(began))
		if got := string(reply.Data); err != nil || got != bed.Answer(domain) {
			b.Fatalf("%s: got %q, %v", domain, got, err)
		}
		time.Sleep(probePause)
	}
	for n := 0; done != nil || n < probes; n++ {
		lookUp(&p.memory, n%min(known, policies))
		lookUp(&p.file, rand.IntN(policies))
		select {
		case <-done:
			return p
		default:
		}
	}
	return p
}

// idle waits until the daemon has nothing to do, and reports whether that was so
// within the limit.
func idle(b *testing.B, cmd *exec.Cmd) bool {
	b.Helper()
	ok, err := proc.AwaitIdle(cmd.Process.Pid, idleLimit)
	if err != nil {
		b.Fatal(err)
	}
	return ok
}

// background probes the daemon while it checks its file and counts policies, and
// again afterwards. If all policies are due, it refreshes them meanwhile.
func (d bench) background(b *testing.B, policies int) {
	once(b, func() {
		cmd := d.start(b)
		began := time.Now()
		d.ask(b, 0, min(known, policies))
		start, cpu := time.Now(), cpuTime(b, cmd)
		busy := d.probe(b, policies, nil)
		share := (cpuTime(b, cmd) - cpu).Seconds() / time.Since(start).Seconds()
		b.ReportMetric(100*share, "cpu-%-busy")
		busy.report(b, "busy")
		if allDue() {
			b.ReportMetric(d.metric(b, "mta_sts_policies_refresh_failing"), "refreshes")
			stop(b, cmd)
			return
		}
		if !idle(b, cmd) {
			b.Errorf("the daemon is busy for longer than %v", idleLimit)
		}
		b.ReportMetric(time.Since(began).Seconds(), "s-background")
		b.ReportMetric(cpuTime(b, cmd).Seconds(), "cpu-s-background")
		b.ReportMetric(anonymous(cmd), "MB-background")
		quiet := d.probe(b, policies, nil)
		quiet.report(b, "quiet")
		stop(b, cmd)
	})
}

// once measures once, because that takes long and has many samples.
func once(b *testing.B, measure func()) {
	for n := 0; b.Loop(); n++ {
		if n == 0 {
			measure()
		}
	}
	b.ReportMetric(0, "ns/op")
}

// flood looks up domains without a policy, each once, and probes known ones before and
// meanwhile.
func (d bench) flood(b *testing.B, path string, policies int) {
	negatives := number(b, negativesEnv, defaultNegatives)
	once(b, func() {
		cmd := d.start(b)
		if !idle(b, cmd) {
			b.Errorf("the daemon is busy for longer than %v", idleLimit)
		}
		d.ask(b, 0, min(known, policies))
		before := d.probe(b, policies, nil)
		before.report(b, "quiet")
		memory, size, asked, cpu := anonymous(cmd), fileSize(b, path), d.questions(b), cpuTime(b, cmd)

		var result *load.Result
		var err error
		done := make(chan struct{})
		go func() {
			defer close(done)
			result, err = load.Run(load.Load{Target: load.Target{Network: "unix", Address: d.socket, Protocol: load.Socketmap("postfix")},
				Connections: floodConnections, Pipeline: 1, Keys: load.Each(bed.AppendAbsent, 0, uint32(negatives))})
		}()
		meanwhile := d.probe(b, policies, done)
		if err != nil || result.NotFound != negatives {
			b.Fatalf("%+v, %v", result, err)
		}
		meanwhile.report(b, "flood")
		each := func(total float64, unit string) { b.ReportMetric(total/float64(negatives), unit) }
		b.ReportMetric(result.Rate(), "negatives/s")
		each(float64((cpuTime(b, cmd) - cpu).Microseconds()), "cpu-us/negative")
		each(d.questions(b)-asked, "questions/negative")
		each(1e6*(anonymous(cmd)-memory), "B-memory/negative")
		each(fileSize(b, path)-size, "B-file/negative")
		b.ReportMetric(anonymous(cmd), "MB-after")
		b.ReportMetric(d.metric(b, `mta_sts_cache_entries{kind="policy"}`), "policies-in-memory")
		b.ReportMetric(d.metric(b, `mta_sts_cache_entries{kind="negative"}`), "negatives-in-memory")
		stop(b, cmd)
	})
}

// questions returns how many questions the daemon has asked the DNS.
func (d bench) questions(b *testing.B) float64 { return d.metric(b, "mta_sts_dns_queries_total") }

// metric returns the sum of the samples whose name, with or without labels, begins so.
func (d bench) metric(b *testing.B, name string) (sum float64) {
	b.Helper()
	for line := range strings.Lines(string(d.get(b, "/metrics"))) {
		if !strings.HasPrefix(line, name) {
			continue
		}
		fields := strings.Fields(line)
		value, err := strconv.ParseFloat(fields[len(fields)-1], 64)
		if err != nil {
			b.Fatalf("%s: %v", line, err)
		}
		sum += value
	}
	return sum
}

func fileSize(b *testing.B, path string) float64 {
	b.Helper()
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	return float64(info.Size())
}

// number reads an environment variable.
func number(b *testing.B, variable string, otherwise int) int {
	b.Helper()
	value, ok := os.LookupEnv(variable)
	if !ok {
		return otherwise
	}
	n, err := strconv.Atoi(value)
	if err != nil {
		b.Fatal(fmt.Errorf("%s: %w", variable, err))
	}
	return n
}
