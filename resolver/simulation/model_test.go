package simulation

import (
	"slices"
	"time"

	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/shared"
)

// knowledge is the model's copy of the daemon's state of one domain. It comes
// only from the replies that the fakes gave the daemon.
type knowledge struct {
	domain   mtasts.Domain
	versions []version // of the policy, the newest last; never empty
	verdicts []verdict // of DANE, the newest last

	// Questions and fetches.
	asking, fetching int     // under way
	seenID           string  // of the last valid record; empty if the last one was not valid
	recheckDue       instant // the record of a live policy is due again
	askedAt          instant // when the record was last asked for
	judgedMX         instant // when a lookup's discovery last got a record: MX hosts are judged with it
	forced           int     // an operator's refreshes under way
	lastFetch        instant // end of the last fetch, whatever its result
	failed           failure // the publisher's last failed fetch; zero after a success
	refused          instant // since when fetches are refused for load; 0 after a success
	purged           instant // when the domain was last purged
	purges           uint64  // number of the last purge that the shared store had

	voided instant // end of the last fetch that a purge had voided

	// Why a lookup may go without a policy.
	blocked   instant // until then because of an absence or a failed fetch
	dns, dane trouble // with questions for its record, and for DANE

	// Use.
	looking    int // lookups under way
	begun      int // lookups so far
	lastLookup instant
	inUseSince instant
	read       instant // from the file, with the first lookup of the process readBy
	readBy     int
}

// version is the knowledge of a policy from an instant on.
type version struct {
	from  instant
	fact  *fact // nil: no policy
	maybe bool  // it may not have come into force; then the version before holds
}

// certain: the policy was in force for certain, and is unless it has ended.
func (v version) certain() bool { return v.fact != nil && !v.maybe && !v.fact.removable }

// fact is a policy that was fetched.
type fact struct {
	policy        mtasts.Policy
	id            string
	at            instant
	boot          int           // in which it was fetched
	low, high     time.Duration // range of the wall clock's lead, from the fetch to the end of its boot
	interval      time.Duration // refresh.interval at the fetch
	removable     bool          // it was expired for 30 days, so it may be gone
	followUps     int           // fetches still to come because the id changed and the text did not
	mostFollowUps int           // as many if a version that was not certain was in force
	purges        uint64        // number of the last purge that was known before the fetch, or a lower one
}

// verdict is what DANE says from an instant on.
type verdict struct {
	from, until instant
	kind        dane.Kind // 0: nothing
	boot        int
	maybe       bool
	saved       bool // in the file too
}

// trouble is that the DNS did not answer questions about a domain.
type trouble struct {
	at    instant // the last one, 0 after an answer
	out   bool    // in an outage for everybody
	count int     // in a row; those of an outage that has ended do not count
}

// otherNode is the boot of a policy that another node has fetched, which the wall clock judges.
const otherNode = -1

// refreshed: the policy is fetched ahead of its end (BEHAVIOUR, a refresh; RFC 8461 section 3.3).
func (f *fact) refreshed() bool {
	return f.policy.Mode != mtasts.ModeNone && f.policy.MaxAge >= 10*time.Minute
}

// failure is a failed fetch.
type failure struct {
	id       string
	at       instant
	count    int
	before   *failure // the last one of another id
	volatile bool     // it may be lost: it could not be stored, or its policy was purged or had ended by another clock
	saved    bool     // in the file too, next to a policy that was live
	excused  bool     // no policy host may have been in reach, which counts against none
}

// counts: the daemon must know of it and hold it against the publisher.
func (f failure) counts() bool { return f.at != 0 && !f.volatile && !f.excused }

func newKnowledge(d mtasts.Domain) *knowledge {
	return &knowledge{domain: d, versions: []version{{from: -1}}, verdicts: []verdict{{from: -1}}, inUseSince: -1, purged: -1, voided: -1}
}

// The contract's figures (BEHAVIOUR: Discovery and cache, Clock, DANE).
const (
	minRecordLife   = time.Minute
	maxRecordLife   = time.Hour
	failedPause     = 5 * time.Minute  // RFC 8461 section 3.3
	longestRetry    = time.Hour        // between refreshes that fail
	longestDNSRetry = 10 * time.Minute // of a domain whose own DNS fails
	// longestWriteRetry is how long changes wait when the disk has room again.
	longestWriteRetry = time.Minute + 5*time.Second
	verdictHold       = 24 * time.Hour
	stepLimit         = 5 * time.Minute

	// stored is how exact times in the file are, claim how long one lookup keeps others
	// from waiting for the same record.
	stored = 2 * time.Second
	claim  = 31 * time.Second
	// wallSlack: smaller differences of the wall clock are not judged again.
	wallSlack = 2*stepLimit + time.Minute
	// leaseSlack is how long other nodes may keep a refresh from a node, each with its lease.
	leaseSlack = 2*shared.LeaseLife + 2*time.Minute
	// observed is how soon a step of the wall clock is noticed, outageNoticed an outage of the DNS
	// after the first question.
	observed      = 6 * time.Second
	outageNoticed = 6 * time.Second
)

func recordLife(ttl time.Duration) time.Duration {
	return min(max(ttl, minRecordLife), maxRecordLife)
}

// lives returns whether a policy is live for certain and whether it can be live
// (BEHAVIOUR, Clock). A policy fetched in this boot ages by time since boot; one
// of an earlier boot, by the wall clocks of then and now.
func (n *node) lives(f *fact, now instant) (must, may bool) {
	if f.removable {
		defer func() { must = false }()
	}
	if f.boot == n.w.boots {
		age := now - f.at
		return age < f.policy.MaxAge-stored, age < f.policy.MaxAge+stored
	}
	low, high := n.w.wallRange(now)
	youngest, oldest := now+low-f.at-f.high-wallSlack, now+high-f.at-f.low+wallSlack
	must, may = true, false
	judge := func(age time.Duration) {
		live := age < f.policy.MaxAge
		must, may = must && live, may || live
	}
	// Seems fetched in the future: at most max_age from the start or a later step. A policy of before the start
	// may have been judged then, when it seemed so, and is not judged again without a step.
	judged := youngest
	if f.at < n.started {
		least := low
		for _, c := range n.w.walls {
			if c.until > n.started {
				least = min(least, c.wall)
			}
		}
		judged = n.started + least - f.at - f.high - wallSlack
	}
	if judged < -stepLimit {
		judge(now - n.started + stored)
		judge(now - max(n.started, n.stepped) - observed)
	}
	if oldest >= -stepLimit {
		judge(max(youngest, -stepLimit))
		judge(oldest)
	}
	return must, may
}

// noteRemovable notes which policies may be gone from the file: those expired for
// 30 days, if this boot has lasted a day without a step of the wall clock
// (BEHAVIOUR, Clock).
func (n *node) noteRemovable(now instant) {
	const kept, slack = 30 * day, 2 * time.Hour
	if now-n.stepped < day-slack {
		return
	}
	n.eachFact(func(f *fact) {
		age := now - f.at
		if f.boot != n.w.boots {
			age = max(now+n.w.wall-f.at-f.low, now-max(n.started, n.stepped)) // one of the future counts from the start
		}
		f.removable = f.removable || age > f.policy.MaxAge+kept-slack
	})
}

// wallRange returns the range of the wall clock's lead, as the daemon has
// observed it.
func (w *world) wallRange(now instant) (low, high time.Duration) {
	low, high = w.wall, w.wall
	for _, c := range w.walls {
		if now-c.until < observed {
			low, high = min(low, c.wall), max(high, c.wall)
		}
	}
	return low, high
}

// add adds the newest version.
func (k *knowledge) add(v version) { k.versions = append(k.versions, v) }

func (k *knowledge) last() version { return k.versions[len(k.versions)-1] }

func (k *knowledge) lastVerdict() *verdict { return &k.verdicts[len(k.verdicts)-1] }

// possible returns the versions of which one is in force.
func (k *knowledge) possible() []version {
	i := len(k.versions) - 1
	for i > 0 && k.versions[i].maybe {
		i--
	}
	return k.versions[i:]
}

// current returns the policy that the daemon must have for certain at now.
func (n *node) current(k *knowledge, now instant) *fact {
	if v := k.last(); v.certain() {
		if must, _ := n.lives(v.fact, now); must {
			return v.fact
		}
	}
	return nil
}

// mayLive returns whether one of the possible policies can be live at an instant.
func (n *node) mayLive(k *knowledge, at instant) bool {
	return slices.ContainsFunc(k.possible(), func(v version) bool {
		if v.fact == nil {
			return false
		}
		_, may := n.lives(v.fact, at)
		return may
	})
}

// purge: nothing that was known of the domain answers from now on.
func (k *knowledge) purge(now instant) {
	k.purged = now
	k.add(version{from: now})
	k.verdicts = append(k.verdicts, verdict{from: now, maybe: k.lastVerdict().from == now, saved: true}) // one of this moment may be stored after the purge
	k.failed, k.blocked, k.dns, k.dane = failure{}, 0, trouble{}, trouble{}
}

// forget removes the knowledge that only memory had from the model: absences and
// failures, and for certain everything learned since unsure.
func (n *node) forget(unsure, now instant) {
	n.life++ // lookups under way are not judged
	for _, k := range n.known {
		k.blocked, k.dns, k.dane, k.failed.before = 0, trouble{}, trouble{}, nil
		for i := range k.versions {
			if k.versions[i].from >= unsure {
				k.versions[i].maybe = true
			}
		}
		for i := range k.verdicts {
			v := &k.verdicts[i]
			v.maybe = v.maybe || !v.saved || v.from >= unsure || n.current(k, now) == nil // in the file only next to a policy
		}
		if !k.failed.saved || n.current(k, now) == nil || k.failed.at >= unsure {
			k.failed = failure{}
		}
	}
}

// eachFact calls fn with every policy that the node may have.
func (n *node) eachFact(fn func(*fact)) {
	for _, k := range n.known {
		for _, v := range k.versions {
			if v.fact != nil {
				fn(v.fact)
			}
		}
	}
}

// forgetAll lets the model forget everything: the store was in memory.
func (n *node) forgetAll(now instant) {
	for _, k := range n.known {
		k.add(version{from: now})
		k.failed, k.purges = failure{}, 0
	}
}

// describe is for violations.
func (k *knowledge) describe() []string {
	var out []string
	for _, v := range k.versions[max(0, len(k.versions)-3):] {
		text := v.from.String() + ": "
		if v.fact == nil {
			text += "none"
		} else {
			text += v.fact.policy.Mode.String() + "/" + v.fact.id + " for " + v.fact.policy.MaxAge.String()
		}
		if v.maybe {
			text += " (perhaps)"
		}
		out = append(out, text)
	}
	return out
}
