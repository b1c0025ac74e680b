package simulation

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mta-sts-daemon/resolver"
	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/dnsclient"
	"mta-sts-daemon/resolver/event"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/policies"
	"mta-sts-daemon/resolver/policyhost"
	"mta-sts-daemon/resolver/store"
)

// settings are those of a node that a reload may change.
type settings struct {
	policies.Limits
	Concurrency                int
	AnswerTimeout, RecheckWait time.Duration
	dane                       bool
}

// node is a daemon and what the model knows of it.
type node struct {
	w        *world
	inMemory bool // no policy file
	path     string
	files    int
	settings settings

	r   *resolver.Resolver // nil while it is stopped
	st  *store.Store
	reg *prometheus.Registry

	known   map[mtasts.Domain]*knowledge
	flooded int // names that do not exist, looked up by this process

	life       int     // processes so far
	started    instant // of this process
	configured instant
	disturbed  instant // last suspend or step of a clock
	stepped    instant // last step of the wall clock in this boot, or the boot
	cramped    instant // when memory last had too little room for all domains
	trouble    instant // when a question last failed or was slow
	answered   instant // when a question was last answered, and soon
	contact    instant // when a policy host last answered
	failing    instant // first fetch that failed, the DNS and load apart, since a certificate was accepted; 0: none
	purgedAll  instant // and whether discoveries were under way
	outageFrom instant // from then on the daemon must know of the outage; 0: there is none
	questions  int     // since then

	fetches    int // ended, by this process
	downgrades int // that the model saw, by this process
	events     map[event.Event]int
	changes    map[store.ChangeKind]int // in the history at the start

	lookups sync.WaitGroup
}

func newNode(w *world, inMemory bool, s settings) *node {
	n := &node{w: w, inMemory: inMemory, settings: s, known: map[mtasts.Domain]*knowledge{}}
	n.path = filepath.Join(w.dir, "0", "policies.db")
	return n
}

// about returns what the model knows of a domain.
func (n *node) about(d mtasts.Domain) *knowledge {
	k := n.known[d]
	if k == nil {
		k = newKnowledge(d)
		n.known[d] = k
	}
	return k
}

// start starts a process.
func (n *node) start() error {
	var err error
	switch {
	case !n.inMemory:
		n.st, err = store.Open(n.path, n.w.machine.Clock(), slog.New(slog.DiscardHandler))
	case n.st == nil:
		n.st = store.OpenMemory(n.w.machine.Clock())
	}
	if err != nil {
		return err
	}
	n.reg = prometheus.NewRegistry()
	n.w.locked(func(now instant) {
		n.life++
		n.started, n.configured, n.trouble, n.contact, n.purgedAll, n.outageFrom = now, now, now, now, -1, 0
		n.fetches, n.downgrades, n.flooded, n.failing = 0, 0, 0, 0
		n.events, n.changes = map[event.Event]int{}, n.history()
	})
	n.r = resolver.New(resolver.Options{Settings: n.resolverSettings(), Clock: n.w.machine.Clock(), Store: n.st,
		Metrics: n.reg, Logger: slog.New(journal{n})})
	return nil
}

func (n *node) resolverSettings() resolver.Settings {
	s := resolver.Settings{TXT: n, MX: n, Policies: n, Probe: n, AnswerTimeout: n.settings.AnswerTimeout,
		RecheckWait: n.settings.RecheckWait, Limits: n.settings.Limits, Concurrency: n.settings.Concurrency}
	if n.settings.dane {
		s.DANE = n
	}
	return s
}

func (n *node) configure(s settings) {
	n.w.locked(func(now instant) { n.settings, n.configured = s, now; n.noteRoom(now) })
	n.r.Configure(n.resolverSettings())
}

// stop ends the process in order.
func (n *node) stop() error {
	n.w.locked(func(now instant) { n.forget(now, now) })
	n.r.Close()
	n.lookups.Wait()
	n.r = nil
	if n.inMemory {
		return nil
	}
	return n.st.Close()
}

// kill ends the process as kill -9 or a power failure in the middle of a write does: what
// was not written within the last second may be lost, and of the last transaction some
// pages are on disk and others are not.
func (n *node) kill(seed uint64) error {
	if n.inMemory {
		return n.stop()
	}
	synctest.Wait() // nothing is being written
	before, err := os.ReadFile(n.path)
	if err != nil {
		return err
	}
	time.Sleep(1500 * time.Millisecond) // a transaction at most
	synctest.Wait()
	after, err := os.ReadFile(n.path)
	if err != nil {
		return err
	}
	killed := n.w.nowLocked()
	if err := n.stop(); err != nil {
		return err
	}
	n.w.locked(func(instant) { n.forget(killed-4*time.Second, killed) })
	n.files++
	n.path = filepath.Join(n.w.dir, fmt.Sprint(n.files), "policies.db")
	if err := os.MkdirAll(filepath.Dir(n.path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(n.path, torn(before, after, rand.New(rand.NewPCG(seed, 0))), 0o600)
}

// torn returns a file in the middle of the transaction between the two, or after it.
func torn(before, after []byte, random *rand.Rand) []byte {
	const page = 4096
	if transaction(after)-transaction(before) != 1 || random.IntN(2) == 0 {
		return after
	}
	mixed := bytes.Clone(after)
	for at := 0; at < len(before); at += page {
		if at < 2*page || random.IntN(2) == 0 { // the meta pages come last
			copy(mixed[at:at+page], before[at:at+page])
		}
	}
	return mixed
}

// transaction returns the number of the last transaction in a bbolt file: its two meta
// pages have one each.
func transaction(file []byte) uint64 {
	const page, at = 4096, 16 + 48
	if len(file) < 2*page {
		return 0
	}
	return max(binary.NativeEndian.Uint64(file[at:]), binary.NativeEndian.Uint64(file[page+at:]))
}

// forget lets the model forget what only memory knew: absences and failures, and for
// certain what was learned since unsure.
func (n *node) forget(unsure, now instant) {
	n.life++ // lookups under way are not judged
	for _, k := range n.known {
		k.blocked, k.dnsErr, k.dnsErrCount, k.daneErr = 0, 0, 0, 0
		for i := range k.versions {
			if k.versions[i].from >= unsure {
				k.versions[i].maybe = true
			}
		}
		for i := range k.verdicts {
			k.verdicts[i].maybe = true // they are in the file only next to a policy
		}
		if n.current(k, now) == nil {
			k.failed = failure{}
		}
		if k.failed.at >= unsure {
			k.failed = failure{}
		}
	}
}

// forgetAll lets the model forget everything: the store was in memory.
func (n *node) forgetAll(now instant) {
	for _, k := range n.known {
		k.versions = append(k.versions, version{from: now})
		k.failed = failure{}
	}
}

func (w *world) nowLocked() (at instant) {
	w.locked(func(now instant) { at = now })
	return at
}

// lookUp looks a domain up as a socketmap connection does, and judges the answer.
func (n *node) lookUp(d mtasts.Domain) {
	var life int
	n.w.locked(func(instant) { life = n.life })
	n.lookups.Go(func() { n.lookUpIn(life, d) })
}

func (n *node) lookUpIn(life int, d mtasts.Domain) {
	hop := resolver.NextHop{Domain: d, MX: true, Port: dane.SMTPPort}
	l := lookup{domain: d}
	var joined, alone, first bool
	var begun int
	n.w.locked(func(now instant) {
		k := n.about(d)
		l.start = now
		n.noteRoom(now)
		joined = k.asking > 0 || k.fetching > 0 || k.forced > 0
		alone = !joined && k.looking == 0 && (now-k.lastLookup > claim || k.lastLookup == 0)
		first = alone && k.lastLookup < n.w.dnsSince && k.dnsErr == 0 && k.blocked < now && n.disturbed < n.w.dnsSince
		if now-k.lastLookup > n.settings.Idle/2 {
			k.inUseSince = now
		}
		if k.loadedBy != n.life {
			k.loadedBy, k.loaded = n.life, now
			if last := k.versions[len(k.versions)-1]; last.fact != nil && last.fact.boot != n.w.boots {
				k.recheckDue = max(k.recheckDue, now+maxRecordLife) // by a clock that may have been wrong
			}
		}
		k.looking++
		k.begun++
		begun = k.begun
		k.lastLookup = now
	})
	a, ok := n.r.Cached(hop, time.Now())
	if !ok {
		a, l.unknown = n.r.Resolve(context.Background(), hop)
	}
	n.w.locked(func(now instant) {
		k, p := n.about(d), n.w.of(d)
		k.looking--
		l.end, l.policy, l.kind, l.failure = now, a.Policy, a.DANE, a.Failure
		alone = alone && begun == k.begun
		if life != n.life || l.start < n.disturbed+observed {
			return
		}
		n.w.note("  lookup of %v from %v: %v", d, l.start, l)
		n.judgeDANE(k, p, l, alone)
		if l.unknown == nil {
			n.judgePolicy(k, l)
			n.judgeDiscovery(k, p, l, joined)
			n.judgePatience(k, l, first && alone)
			n.judgeNews(k, p, l, alone)
			n.judgeReport(k, l)
		} else if !errors.Is(l.unknown, resolver.ErrDANEUnknown) {
			n.w.violation("%v: lookup failed: %v", d, l.unknown)
		}
		if l.end-l.start >= n.settings.RecheckWait && l.policy != nil {
			n.trouble = now
		}
	})
}

func (l lookup) String() string {
	switch {
	case l.unknown != nil:
		return l.unknown.Error()
	case l.policy == nil:
		return fmt.Sprintf("no policy, DANE %v", l.kind)
	}
	return fmt.Sprintf("%v until %v, DANE %v", l.policy.Mode, l.policy.MaxAge, l.kind)
}

// countQuestion counts a question to the DNS. During an outage that is known there is one
// a second for all domains (BEHAVIOUR, DNS failure).
func (n *node) countQuestion() {
	if n.outageFrom == 0 || n.w.dns == dnsWorks {
		return
	}
	since := n.w.now() - n.outageFrom
	if since < 0 {
		return
	}
	n.questions++
	if allowed := int(since/time.Second) + 3; n.questions > allowed {
		n.w.violation("%d questions in %v of an outage", n.questions, since)
		n.outageFrom = 0
	}
}

func (n *node) askedTXT(d mtasts.Domain) {
	n.countQuestion()
	k := n.about(d)
	k.asking++
	k.askedAt = n.w.now()
}

func (n *node) answeredTXT(d mtasts.Domain, began instant, a dnsclient.Answer[string], err error, cancelled bool) {
	k, now := n.about(d), n.w.now()
	k.asking--
	if cancelled {
		return
	}
	if now-began > n.settings.RecheckWait/2 || err != nil {
		n.trouble = now
	}
	if err != nil {
		out := n.w.dns != dnsWorks
		if out && n.outageFrom == 0 {
			n.outageFrom, n.questions = now+6*time.Second, 0
		}
		k.dnsErr, k.dnsErrOut = now, out && n.w.dnsSince <= began && (k.dnsErr == 0 || k.dnsErrOut)
		k.dnsErrCount++
		k.recheckDue = max(k.recheckDue, now+30*time.Second)
		k.seenID = ""
		n.w.note("  TXT of %v: %v", d, err)
		return
	}
	if n.trouble < now {
		n.answered = now
	}
	if k.looking > 0 {
		k.judgedMX = now
	}
	k.dnsErr, k.dnsErrCount = 0, 0
	k.recheckDue = now + recordLife(a.TTL)
	record, invalid := mtasts.ParseRecord(a.Records)
	k.seenID = record.ID
	if invalid != nil {
		k.seenID = ""
		k.blocked = max(k.blocked, now+recordLife(a.TTL))
	}
	n.w.note("  TXT of %v: %q %v", d, k.seenID, a.TTL)
}

// fetch is a fetch under way.
type fetch struct {
	began instant
	id    string // of the record that led to it
	life  int
}

func (n *node) beginFetch(d mtasts.Domain, now instant) fetch {
	k := n.about(d)
	k.fetching++
	f := fetch{began: now, id: k.seenID, life: n.life}
	if last := k.versions[len(k.versions)-1]; f.id == "" && last.fact != nil {
		f.id = last.fact.id // RFC 8461 section 10.2
	}
	n.judgeFetch(k, f)
	return f
}

func (n *node) endFetch(d mtasts.Domain, f fetch, now instant, text string, err error, cancelled bool) {
	k := n.about(d)
	k.fetching--
	k.lastFetch = now
	if cancelled || f.life != n.life {
		return
	}
	if now-f.began > n.settings.RecheckWait/2 {
		n.trouble = now
	}
	policy, invalid := mtasts.ParsePolicy(text)
	if err == nil {
		err = invalid
	}
	n.w.note("  fetch for %v: %v %v", d, err, policy.Mode)
	result, fault := policyhost.Classify(err)
	if fault != policyhost.FaultLoad {
		n.fetches++
	}
	if result != policyhost.ResultFetchError {
		n.contact = now
	}
	switch {
	case result == policyhost.ResultOK, result == policyhost.ResultPolicyInvalid:
		n.failing = 0
	case n.failing == 0 && fault != policyhost.FaultDNS && fault != policyhost.FaultLoad:
		n.failing = now
	}
	if err != nil {
		n.failedFetch(k, f, now, fault)
		return
	}
	k.failed, k.blocked = failure{}, 0
	before := k.versions[len(k.versions)-1]
	wasLive := false
	if before.fact != nil {
		wasLive, _ = n.lives(before.fact, now)
	}
	fetched := &fact{policy: policy, id: f.id, at: now, boot: n.w.boots, low: n.w.wall, high: n.w.wall, interval: n.settings.RefreshInterval}
	if before.fact != nil && before.fact.policy.Text == policy.Text {
		fetched.sameTextNew = before.fact.id != f.id || before.fact.sameTextNew
	}
	if before.fact != nil && !before.maybe && wasLive && before.fact.policy.Mode == mtasts.ModeEnforce && policy.Mode != mtasts.ModeEnforce {
		n.downgrades++
	}
	// One whose discovery began before a purge of everything serves who waits and is not
	// kept. Its discovery may have begun a while before the fetch.
	late := now-n.purgedAll < 2*hostTimeout && n.purgedAll >= 0
	k.versions = append(k.versions, version{from: now, fact: fetched, maybe: late})
	if policy.MaxAge == 0 {
		k.versions = append(k.versions, version{from: now})
	}
}

func (n *node) failedFetch(k *knowledge, f fetch, now instant, fault policyhost.Fault) {
	switch fault {
	case policyhost.FaultPublisher:
		if k.failed.id != f.id {
			k.failed = failure{id: f.id}
		}
		k.failed.at = now
		k.failed.count++
		k.blocked = now + failedPause
		if now-n.contact > 9*time.Minute { // no policy host is reachable: not held against it, but asked less and less
			k.blocked = now + longestDNSRetry
		}
	case policyhost.FaultLoad:
		k.blocked = now + time.Minute + 2*time.Second
	default:
		k.blocked = now + longestDNSRetry
	}
}

// checked takes a verdict of DANE.
func (n *node) checked(d mtasts.Domain, now instant, v dane.Verdict, err error, cancelled bool) {
	k := n.about(d)
	if cancelled {
		return
	}
	if err != nil {
		k.daneErr, k.daneErrOut = now, n.w.dns != dnsWorks && (k.daneErr == 0 || k.daneErrOut)
		if n.w.dns != dnsWorks && n.outageFrom == 0 {
			n.outageFrom, n.questions = now+6*time.Second, 0
		}
		n.trouble = now
		return
	}
	k.daneErr = 0
	next := verdict{from: now, until: now + v.TTL, kind: v.Kind, boot: n.w.boots}
	for i := len(k.verdicts) - 1; i >= 0 && v.Kind == dane.Unknown; i-- {
		before := k.verdicts[i]
		if before.kind != dane.Unknown {
			next.maybe = before.kind != 0 && (now < before.until+verdictHold+time.Minute || before.boot != n.w.boots)
			break // a verdict that holds takes precedence
		}
	}
	k.verdicts = append(k.verdicts, next)
}

// journal is the log: the model counts events.
type journal struct{ n *node }

func (journal) Enabled(_ context.Context, l slog.Level) bool { return l > slog.LevelDebug }
func (j journal) WithAttrs([]slog.Attr) slog.Handler         { return j }
func (j journal) WithGroup(string) slog.Handler              { return j }

func (j journal) Handle(_ context.Context, r slog.Record) error {
	var e event.Event
	text := r.Message
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == event.Key {
			e = a.Value.Any().(event.Event)
		} else {
			text += " " + a.String()
		}
		return true
	})
	j.n.w.locked(func(instant) {
		j.n.events[e]++
		j.n.w.note("  log: %s", text)
	})
	return nil
}

// history counts the changes in the history by kind.
func (n *node) history() map[store.ChangeKind]int {
	counts := map[store.ChangeKind]int{}
	changes, _ := n.st.Changes(time.Time{})
	for _, c := range changes {
		counts[c.Kind]++
	}
	return counts
}
