package resolver

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/clock/clocktest"
	"mta-sts-daemon/resolver/dnsclient"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/policies"
	"mta-sts-daemon/resolver/policyhost"
	"mta-sts-daemon/resolver/store"
)

// world is the DNS and the policy hosts of a test, in fake time. Names that are
// not set do not exist.
type world struct {
	t   *testing.T
	reg *prometheus.Registry // of the Resolver made last

	machine *clocktest.Machine

	mu      sync.Mutex
	log     bytes.Buffer
	down    bool // nobody answers probes
	probes  int
	txt     map[string]txtAnswer  // by domain
	hosts   map[string]hostAnswer // by domain
	mx      map[string]string
	queries map[string]int
	fetches map[string]int
}

type txtAnswer struct {
	records []string
	ttl     time.Duration
	err     error
	delay   time.Duration
}

type hostAnswer struct {
	text  string
	err   error
	delay time.Duration
}

var (
	errServfail = errors.New("SERVFAIL")
	errRefused  = errors.New("connection refused")
	errHostBusy = &policyhost.FetchError{Host: "mta-sts.a.example", Fault: policyhost.FaultLoad, Result: policyhost.ResultFetchError, Err: policyhost.ErrBusy}
)

func newWorld(t *testing.T) *world {
	return &world{t: t, machine: clocktest.NewMachine(time.Now, "boot 1", time.Hour), txt: map[string]txtAnswer{}, hosts: map[string]hostAnswer{},
		mx: map[string]string{}, queries: map[string]int{}, fetches: map[string]int{}}
}

// resolver returns a Resolver with the default times. It ends with the test.
func (w *world) resolver() *Resolver {
	return w.resolverWith(w.memory())
}

// resolverWith is for a store that outlives the Resolver.
func (w *world) resolverWith(st *store.Store) *Resolver { return w.resolverIn(nil, st) }

// resolverIn returns a node that uses the shared store.
func (w *world) resolverIn(shared SharedStore, st *store.Store) *Resolver {
	w.reg = prometheus.NewRegistry()
	r := New(Options{
		Settings: Settings{
			TXT: w, MX: w, Policies: w, Probe: w,
			AnswerTimeout: 8 * time.Second, RecheckWait: 500 * time.Millisecond,
			Limits:      policies.Limits{Entries: 4, NegativeEntries: 4, RefreshInterval: day, Idle: 14 * day},
			Concurrency: 16,
		},
		Clock: w.machine.Clock(), Store: st, Shared: shared, Metrics: w.reg, Logger: slog.New(slog.NewTextHandler(w, nil)),
	})
	w.t.Cleanup(r.Close)
	return r
}

// memory returns a store without a file, which may outlive Resolvers within one boot.
func (w *world) memory() *store.Store { return store.OpenMemory(w.machine.Clock()) }

// moment returns the Moment of a wall time, by the right clock.
func (w *world) moment(t time.Time) clock.Moment {
	return clock.OriginAt(time.Now().Add(-time.Duration(w.machine.Clock().Now()))).Moment(t)
}

// Probe answers unless nobody answers.
func (w *world) Probe(context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.probes++
	if w.down {
		return errServfail
	}
	return nil
}

// inMemory returns how many policies memory has.
func (w *world) inMemory() int { return int(w.metrics("mta_sts_cache_entries")["policy"]) }

// Write records the log.
func (w *world) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(line)
}

func (w *world) TXT(ctx context.Context, name string) (dnsclient.Answer[string], error) {
	w.mu.Lock()
	domain := strings.TrimPrefix(name, "_mta-sts.")
	w.queries[domain]++
	a := w.txt[domain]
	w.mu.Unlock()
	if err := pass(ctx, a.delay); err != nil {
		return dnsclient.Answer[string]{}, err
	}
	return dnsclient.Answer[string]{Records: a.records, TTL: a.ttl}, a.err
}

func (w *world) Fetch(ctx context.Context, d mtasts.Domain) (string, error) {
	w.mu.Lock()
	w.fetches[d.String()]++
	a, ok := w.hosts[d.String()]
	w.mu.Unlock()
	if !ok {
		w.t.Errorf("no fetch for %v was expected", d)
	}
	if err := pass(ctx, a.delay); err != nil {
		return "", err
	}
	return a.text, a.err
}

// pass lets time pass.
func pass(ctx context.Context, d time.Duration) error {
	if d == 0 { // a timer that has fired when it is looked at crashes Go 1.26's race detector in a bubble
		return ctx.Err()
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// MX returns what setMX was given, and otherwise what policyText names, unless nobody answers.
func (w *world) MX(_ context.Context, name string) (dnsclient.Answer[dnsclient.MX], error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down {
		return dnsclient.Answer[dnsclient.MX]{}, errServfail
	}
	host, ok := w.mx[name]
	if !ok {
		host = "mx.example"
	}
	return dnsclient.Answer[dnsclient.MX]{Records: []dnsclient.MX{{Host: host}}}, nil
}

// publish sets the record and the policy of a domain.
func (w *world) publish(domain, id, policyText string) {
	w.setTXT(domain, txtAnswer{records: []string{"v=STSv1; id=" + id + ";"}, ttl: 5 * time.Minute})
	w.setHost(domain, hostAnswer{text: policyText})
}

func (w *world) setTXT(domain string, a txtAnswer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.txt[domain] = a
}

func (w *world) setHost(domain string, a hostAnswer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hosts[domain] = a
}

func (w *world) setMX(domain, host string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mx[domain] = host
}

// asked returns how often the DNS and the policy host were asked so far.
func (w *world) asked(domain string) (queries, fetches int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.queries[domain], w.fetches[domain]
}

func (w *world) expectAsked(domain string, queries, fetches int) {
	w.t.Helper()
	if q, f := w.asked(domain); q != queries || f != fetches {
		w.t.Errorf("%s: %d queries and %d fetches, want %d and %d", domain, q, f, queries, fetches)
	}
}

// expectLogged counts an event's message in the log so far.
func (w *world) expectLogged(message string, times int) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := strings.Count(w.log.String(), message); n != times {
		w.t.Errorf("%q logged %d times, want %d:\n%s", message, n, times, &w.log)
	}
}

func hop(t *testing.T, domain string) NextHop {
	t.Helper()
	d, err := mtasts.ParseDomain(domain)
	if err != nil {
		t.Fatal(err)
	}
	return NextHop{Domain: d, MX: true, Port: 25}
}

// lookUp performs a lookup as a handler does, and measures the time. The mode is
// followed by the id if the policy is kept.
func lookUp(t *testing.T, r *Resolver, domain string) (mode string, took time.Duration) {
	t.Helper()
	start := time.Now()
	h := hop(t, domain)
	a, ok := r.Cached(h, time.Now())
	if !ok {
		var err error
		if a, err = r.Resolve(t.Context(), h); err != nil {
			t.Fatalf("%s: %v", domain, err)
		}
	}
	mode = "-"
	if a.Policy != nil {
		k, _ := r.Known(h.Domain)
		mode = a.Policy.Mode.String() + "/" + k.ID
	}
	return mode, time.Since(start)
}

func expect(t *testing.T, r *Resolver, domain, want string) {
	t.Helper()
	if got, _ := lookUp(t, r, domain); got != want {
		t.Errorf("%s: %s, want %s", domain, got, want)
	}
}

// expectWithoutFetch is expect for a lookup that may not fetch.
func (w *world) expectWithoutFetch(r *Resolver, domain, want string) {
	w.t.Helper()
	_, before := w.asked(domain)
	expect(w.t, r, domain, want)
	if _, fetches := w.asked(domain); fetches != before {
		w.t.Errorf("%s: %d more fetches", domain, fetches-before)
	}
}

func policyText(mode string, maxAge string) string {
	return "version: STSv1\nmode: " + mode + "\nmx: mx.example\nmax_age: " + maxAge + "\n"
}
