package simulation

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"mta-sts-daemon/resolver/clock/clocktest"
	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/shared/sharedtest"
)

// instant is the true time since the world began, suspends included.
type instant = time.Duration

// world is what surrounds the daemon: publishers, the DNS and the machine's clocks.
type world struct {
	machine *clocktest.Machine // all nodes are on one
	began   time.Time
	dir     string // of policy files
	verbose bool
	nodes   []*node
	node    *node             // whom the next events concern
	shared  *sharedtest.Store // nil if there is one node

	mu         sync.Mutex // guards everything in the world and in the model
	slept      time.Duration
	wall       time.Duration // by which the wall clock is ahead of true time
	walls      []wallChange  // the latest ones
	boots      int
	booted     instant // the last time
	publishers []*publisher
	dns        dnsState
	dnsSince   instant           // of dns
	strangers  int               // looked up so far
	put        map[written]*fact // policies sent to the shared store
	violations []string
	log        []string
}

type wallChange struct {
	until instant
	wall  time.Duration // before
}

type dnsState int

const (
	dnsWorks dnsState = iota
	dnsFails
	dnsSilent
)

type recordState int

const (
	recordOK recordState = iota
	recordGone
	recordTwice
	recordMalformed
	recordFails
	recordSilent
	recordTurns // name servers that differ give this id and the one before in turn
)

type hostState int

const (
	hostOK hostState = iota
	hostRefused
	hostCertificate
	hostSilent
	hostHTML
	hostDNS
	hostBusy
	hostNoRoute
)

// dnsTimeout is how long a silent server is waited for, hostTimeout is fetch.timeout.
const (
	dnsTimeout  = 5 * time.Second
	hostTimeout = 60 * time.Second
)

// publisher is the owner of one domain.
type publisher struct {
	domain mtasts.Domain

	record      recordState
	id          int
	ttl         time.Duration
	recordDelay time.Duration
	turn        int // of recordTurns

	host      hostState
	text      string
	version   int // of the text
	mode      mtasts.Mode
	maxAge    time.Duration
	hostDelay time.Duration

	mx      mxState
	kind    dane.Kind // 0: the question fails
	kindTTL time.Duration

	changed instant
}

type mxState int

const (
	mxMatches mxState = iota
	mxMoved
	mxNull
)

func newWorld(now func() time.Time, dir string) *world {
	return &world{machine: clocktest.NewMachine(now, "boot 0", time.Hour), began: now(), dir: dir, put: map[written]*fact{}}
}

// domain returns a name.
func domain(format string, n int) mtasts.Domain {
	d, err := mtasts.ParseDomain(fmt.Sprintf(format+".example", n))
	if err != nil {
		panic(err)
	}
	return d
}

// now returns the true time.
func (w *world) now() instant { return time.Since(w.began) + w.slept }

// locked runs fn with the world at rest.
func (w *world) locked(fn func(now instant)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fn(w.now())
}

func (w *world) nowLocked() (at instant) {
	w.locked(func(now instant) { at = now })
	return at
}

func (w *world) publisher(n int64) *publisher { return w.publishers[int(n)%len(w.publishers)] }

// The names of the domains of floods, which are looked up once. The name gives
// the kind.
const (
	absentStrangers = "absent" // they have no record
	silentStrangers = "silent" // their DNS does not answer
	slowStrangers   = "slow"   // their policy host does not answer
)

var strangerKinds = []string{absentStrangers, silentStrangers, slowStrangers}

// stranger returns the kind of a flood's domain, empty for other domains.
func stranger(d mtasts.Domain) string {
	kind, _, _ := strings.Cut(d.String(), "-")
	if slices.Contains(strangerKinds, kind) {
		return kind
	}
	return ""
}

// of returns the owner of a domain, nil for names that do not exist.
func (w *world) of(d mtasts.Domain) *publisher {
	for _, p := range w.publishers {
		if p.domain == d {
			return p
		}
	}
	p := &publisher{domain: d, id: 1, ttl: time.Hour, kind: dane.None, kindTTL: time.Hour}
	switch stranger(d) {
	case silentStrangers:
		p.record = recordSilent
	case slowStrangers:
		p.host = hostSilent
	default:
		return nil
	}
	return p
}

// violation notes that a rule was broken.
func (w *world) violation(format string, args ...any) {
	text := fmt.Sprintf("%v: ", w.now()) + fmt.Sprintf(format, args...)
	w.violations = append(w.violations, text)
	w.note("VIOLATION %s", text)
}

// note adds to the log of a verbose run.
func (w *world) note(format string, args ...any) {
	if w.verbose {
		w.log = append(w.log, fmt.Sprintf("%-14v ", w.now())+fmt.Sprintf(format, args...))
	}
}

// write makes the text of the publisher's policy.
func (p *publisher) write(mode mtasts.Mode, maxAge time.Duration, padding int) {
	p.version++
	p.mode, p.maxAge = mode, maxAge
	p.text = fmt.Sprintf("version: STSv1\nmode: %v\nmx: mx.%v\nmax_age: %d\nversion_of_text: %d\n",
		mode, p.domain, int(maxAge.Seconds()), p.version)
	for len(p.text) < padding {
		p.text += "padding: " + strings.Repeat("x", 70) + "\n"
	}
}

// healthy: the record can be asked for and the policy fetched.
func (p *publisher) healthy() bool { return p.record == recordOK && p.host == hostOK }

// unanswered: its name servers do not answer.
func (p *publisher) unanswered() bool { return p.record == recordFails || p.record == recordSilent }

func (p *publisher) recordID() string { return fmt.Sprintf("id%d", p.id) }

// records returns the TXT records at _mta-sts.D.
func (p *publisher) records() []string {
	valid := "v=STSv1; id=" + p.recordID() + ";"
	switch p.record {
	case recordOK:
		return []string{"v=spf1 -all", valid}
	case recordTwice:
		return []string{valid, valid}
	case recordTurns:
		p.turn = 1 - p.turn
		return []string{fmt.Sprintf("v=STSv1; id=id%d;", p.id-p.turn)}
	case recordMalformed:
		return []string{"v=STSv1; id=not-an-id;"}
	}
	return nil
}

func (w *world) dnsIs(s dnsState) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dns == s
}
