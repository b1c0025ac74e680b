package outcomes

import (
	"hash/maphash"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"mta-sts-daemon/resolver/mtasts"
)

// Limits of a Tally. Beyond them the least recently used is dropped.
const (
	maxSessions   = 10_000  // processes of smtp clients
	maxMessages   = 100_000 // that are in the queue
	maxRecipients = 16      // that are deferred, of one message, one by one
	maxDomains    = 10_000
	maxSample     = 500 // bytes of a sample line
	// maxWrapped is how long a line may become that continues on the next ones.
	maxWrapped = 16 << 10
)

// Policies says which policy applies to a next hop, in the form of a lookup key of
// Postfix: "example.com" or "[mx.example.com]:587".
type Policies interface {
	Policy(nextHop string) Policy
}

// Options are the settings of a Tally.
type Options struct {
	Policies Policies // nil: no policy is known
	// RelayHost is the relayhost of main.cf, to which mail belongs that it takes; ""
	// for none.
	RelayHost string
	// Follow: the counts are metrics, which must not fall or jump. So attempts of which
	// the log does not say how they were secured stay unknown when later lines show that
	// Postfix logs TLS.
	Follow bool
}

// Tally counts what became of mail. It is safe for concurrent use, but lines are
// taken in order.
type Tally struct {
	options Options
	relays  relayHosts
	seed    maphash.Seed

	mu       sync.Mutex // guards what follows
	wrapped  string     // a delivery line whose end may be on the next line
	sessions *simplelru.LRU[process, *session]
	messages *simplelru.LRU[messageKey, *message]
	domains  *simplelru.LRU[string, *domainCounts]
	counts
}

// counts are the totals.
type counts struct {
	lines, incomplete uint64 // of the smtp client; delivery lines without an end
	since, until      string // the times of the first and last of them
	// tlsLines and features are set once a TLS line or tls= was seen: then Postfix
	// logs TLS, and a delivery without either was in clear.
	tlsLines, features bool

	deliveries [numPolicies][numSecurities][numStatuses]uint64
	failures   [numReasons]uint64
	// failedUnderPolicy counts those of failures to which a policy applied.
	failedUnderPolicy uint64
	left              [numStatuses]uint64 // messages that left the queue, or memory
	forgotten         uint64              // domains
}

// process is a process of an smtp client.
type process struct{ host, pid string }

// session is the current connection of an smtp process, according to its log lines.
type session struct {
	relay string
	tls   security
	// queueID is that of the message whose delivery lines the session belongs to,
	// and attempt that message's; "" until the first one.
	queueID string
	attempt uint32
	// outside is set if an MX host was skipped since the last delivery line.
	outside bool
}

// begin notes that a message uses the session, if none has yet.
func (s *session) begin(queueID string, attempt uint32) {
	if s.queueID == "" && s.relay != "" {
		s.queueID, s.attempt = strings.Clone(queueID), attempt
	}
}

// messageKey names a message.
type messageKey struct{ host, instance, queueID string }

// message is a message in the queue. Its status is deferred as long as one of its
// recipients is; then bounced if one was.
type message struct {
	// deferred are the recipients that are, hashed; more is set if there are more
	// than maxRecipients.
	deferred      []uint64
	more          bool
	sent, bounced bool
	// attempt counts how often the queue manager took the message up since the
	// first delivery line; retried is set until the next one. All recipients that
	// are deferred are tried again then.
	attempt uint32
	retried bool
}

// becomes notes what became of a recipient.
func (m *message) becomes(s status, recipient uint64) {
	if m.retried {
		m.deferred, m.more, m.retried = m.deferred[:0], false, false
	}
	i := slices.Index(m.deferred, recipient)
	switch {
	case s != deferred:
		if i >= 0 {
			m.deferred = slices.Delete(m.deferred, i, i+1)
		}
		m.sent = m.sent || s == sent
		m.bounced = m.bounced || s == bounced
	case i >= 0:
	case len(m.deferred) == maxRecipients:
		m.more = true
	default:
		m.deferred = append(m.deferred, recipient)
	}
}

// expires notes that the queue manager gave up the recipients that are deferred.
func (m *message) expires() {
	if len(m.deferred) > 0 {
		m.deferred, m.more, m.bounced = nil, false, true
	}
}

// status returns the message's status; ok is false if it has none yet.
func (m *message) status() (s status, ok bool) {
	switch {
	case len(m.deferred) > 0 || m.more:
		return deferred, true
	case m.bounced:
		return bounced, true
	default:
		return sent, m.sent
	}
}

// domainCounts are the deliveries to one domain or relay.
type domainCounts struct {
	policy   Policy // at the last delivery
	attempts [numSecurities][numStatuses]uint64
	failures [numReasons]uint64
	samples  [numReasons]string
}

// NewTally returns a Tally that has counted nothing.
func NewTally(o Options) *Tally {
	t := &Tally{options: o, relays: parseRelayHost(o.RelayHost), seed: maphash.MakeSeed()}
	t.sessions = newLRU[process, *session](maxSessions, nil)
	t.messages = newLRU(maxMessages, t.leaves)
	t.domains = newLRU(maxDomains, func(string, *domainCounts) { t.forgotten++ })
	return t
}

func newLRU[K comparable, V any](size int, evicted func(K, V)) *simplelru.LRU[K, V] {
	cache, err := simplelru.NewLRU(size, evicted)
	if err != nil {
		panic(err) // the size is not positive
	}
	return cache
}

// Line counts a line of a log file.
func (t *Tally) Line(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e, ok := parseLine(line)
	wrapped := t.wrapped
	t.wrapped = ""
	switch {
	case ok:
		if wrapped != "" {
			t.incomplete++
		}
	case wrapped != "" && len(wrapped)+len(line) < maxWrapped:
		t.unwrap(wrapped, strings.TrimSpace(line))
		return
	default:
		return
	}
	if t.entry(&e) {
		t.wrapped = strings.Clone(line)
	}
}

// unwrap counts a line that goes on with rest. Whether a blank was between the two
// is not known.
func (t *Tally) unwrap(line, rest string) {
	for _, between := range []string{" ", ""} {
		if e, ok := parseLine(line + between + rest); ok && !t.entry(&e) {
			return
		}
	}
	t.wrapped = line + " " + rest
}

// entry counts one message of the log. It reports whether the message is cut off.
func (t *Tally) entry(e *entry) (cut bool) {
	switch e.service() {
	case "smtp":
		return t.smtp(e)
	case "qmgr":
		return t.queueManager(e)
	case "error", "retry":
		return t.notTried(e)
	}
	return false
}

// smtp counts a message of an smtp client.
func (t *Tally) smtp(e *entry) (cut bool) {
	if tls, relay, ok := parseTLS(e.text); ok {
		t.note(e)
		t.logsTLS(true, t.features)
		s := t.session(e)
		s.relay, s.tls, s.queueID = strings.ToLower(relay), tls, ""
		return false
	}
	if isOutsidePolicy(e.text) {
		t.note(e)
		t.session(e).outside = true
		return false
	}
	d, cut, ok := parseDelivery(e.text)
	if !ok && !cut {
		return false
	}
	s, m := t.session(e), t.message(e, d.queueID)
	s.begin(d.queueID, m.attempt)
	if cut {
		return true
	}
	t.note(e)
	tls := t.security(s, m, &d)
	r := noReason
	if d.status == deferred || d.status == bounced {
		r = reasonOf(d.text)
		if s.outside && strings.HasPrefix(d.text, noHostLeft) {
			r = mxNotInPolicy
		}
	}
	s.outside = false
	t.deliver(e, m, &d, tls, r)
	return false
}

// logsTLS notes that the log has TLS lines, or tls=.
func (t *Tally) logsTLS(lines, features bool) {
	if t.options.Follow && lines && !t.tlsLines {
		t.leaveUnknown(silent)
	}
	if t.options.Follow && t.blind() {
		t.leaveUnknown(unsecured)
		t.failedUnderPolicy = 0 // successes before were not counted
	}
	t.tlsLines, t.features = lines, features
}

// leaveUnknown decides the attempts so far that are undecided: they stay unknown.
func (t *Tally) leaveUnknown(undecided security) {
	for p := range t.deliveries {
		attempts := &t.deliveries[p]
		for s, n := range attempts[undecided] {
			attempts[unknownTLS][s] += n
		}
		attempts[undecided] = [numStatuses]uint64{}
	}
}

// note counts a line.
func (t *Tally) note(e *entry) {
	t.lines++
	if t.since == "" {
		t.since = strings.Clone(e.time)
	}
	t.until = e.time
}

// session returns the session of the process that wrote e.
func (t *Tally) session(e *entry) *session {
	s, ok := t.sessions.Get(process{e.host, e.pid})
	if !ok {
		s = new(session)
		t.sessions.Add(process{strings.Clone(e.host), strings.Clone(e.pid)}, s)
	}
	return s
}

// security finds how the connection was secured on which d was tried.
func (t *Tally) security(s *session, m *message, d *delivery) security {
	joined := unknownTLS
	if s.queueID == d.queueID && s.attempt == m.attempt && strings.EqualFold(s.relay, d.relay) {
		joined = s.tls
	} else {
		*s = session{outside: s.outside} // the next message: it had a connection without TLS, or none
	}
	switch {
	case d.feature != "":
		t.logsTLS(t.tlsLines, true)
		f := parseFeature(d.feature)
		if joined == unknownTLS || f.final == "none" {
			return f.security(d)
		}
		return joined
	case joined != unknownTLS:
		return joined
	case d.relay == "none", d.reused:
		return unsecured
	default:
		return silent
	}
}

// deliver counts a delivery attempt.
func (t *Tally) deliver(e *entry, m *message, d *delivery, tls security, r reason) {
	host, ip, port, connected := relayHost(d.relay)
	if d.status == probed || connected && isContentFilter(ip) {
		return
	}
	nextHop := t.nextHop(d, host, port, connected)
	domain, ok := t.domains.Get(nextHop)
	if !ok {
		domain = new(domainCounts)
		t.domains.Add(strings.Clone(nextHop), domain)
	}
	domain.policy = t.policy(nextHop, d)
	t.deliveries[domain.policy][tls][d.status]++
	domain.attempts[tls][d.status]++
	if r != noReason {
		t.failures[r]++
		if domain.policy.applies() {
			t.failedUnderPolicy++
		}
		domain.failures[r]++
		domain.samples[r] = sample(e)
	}
	m.becomes(d.status, maphash.String(t.seed, d.recipient))
}

// isContentFilter reports whether a relay is a content filter on this host, of
// which mail comes back and then goes out.
func isContentFilter(ip string) bool { return ip == "127.0.0.1" || ip == "::1" }

// policy returns the policy that applies. tls=dane says so itself; tls=secure is
// a level and says nothing of its origin.
func (t *Tally) policy(nextHop string, d *delivery) Policy {
	if d.feature != "" && parseFeature(d.feature).isDANE() {
		return PolicyDANE
	}
	if t.options.Policies == nil {
		return PolicyUnknown
	}
	return t.options.Policies.Policy(nextHop)
}

// notDomain stands for a recipient's domain that is not a host name.
const notDomain = "(no domain)"

// nextHop returns the next hop of d: the relay if mail goes to one, else the
// recipient's domain. Two things count as a relay: the relayhost of main.cf, and a mail
// host at a port other than 25, because MX hosts use port 25.
func (t *Tally) nextHop(d *delivery, host, port string, connected bool) string {
	if relay, ok := t.relays.taking(host, port, connected); ok {
		return relay
	}
	if connected && port != "25" {
		return "[" + strings.ToLower(host) + "]:" + port
	}
	domain, err := mtasts.ParseDomain(d.recipient[strings.LastIndexByte(d.recipient, '@')+1:])
	if err != nil {
		return notDomain
	}
	return domain.String()
}

// message returns the message with a queue id.
func (t *Tally) message(e *entry, queueID string) *message {
	key := messageKey{e.host, e.instance(), queueID}
	m, ok := t.messages.Get(key)
	if !ok {
		m = new(message)
		t.messages.Add(messageKey{strings.Clone(key.host), strings.Clone(key.instance), strings.Clone(key.queueID)}, m)
	}
	return m
}

// leaves counts a message for good.
func (t *Tally) leaves(_ messageKey, m *message) {
	if s, ok := m.status(); ok {
		t.left[s]++
	}
}

// queueManager reads a line of the queue manager.
func (t *Tally) queueManager(e *entry) (cut bool) {
	id, rest, ok := cutQueueID(e.text)
	if !ok {
		return false
	}
	key := messageKey{e.host, e.instance(), id}
	if rest == "removed" {
		t.messages.Remove(key)
		return false
	}
	if from, ok := strings.CutPrefix(rest, "from=<"); ok {
		if m, known := t.messages.Get(key); known {
			if _, rest, ok = cutAddress(from); ok && isExpired(rest) {
				m.expires()
			} else if ok && strings.HasSuffix(rest, " (queue active)") {
				m.attempt, m.retried = m.attempt+1, true
			}
		}
		return false
	}
	return t.notTried(e)
}

// isExpired reports whether the queue manager gave a message up: ", status=expired,
// returned to sender".
func isExpired(rest string) bool {
	value, ok := strings.CutPrefix(rest, ", status=")
	word, after, _ := strings.Cut(value, ",")
	return ok && strings.HasSuffix(word, "expired") && strings.HasPrefix(after, " returned to sender")
}

// notTried counts recipients that were deferred without an attempt, because TLS
// had failed the attempts before.
func (t *Tally) notTried(e *entry) (cut bool) {
	d, cut, ok := parseDelivery(e.text)
	if !ok {
		return cut
	}
	text, ok := strings.CutPrefix(d.text, suspended)
	if r := reasonOf(text); ok && d.status == deferred && r != noReason {
		t.note(e)
		t.deliver(e, t.message(e, d.queueID), &d, unsecured, r)
	}
	return false
}

// sample is a line of the log for a person.
func sample(e *entry) string {
	text := e.time + " " + e.host + " " + e.program + "[" + e.pid + "]: " + e.text
	if len(text) > maxSample {
		text = text[:maxSample]
	}
	return strings.Clone(strings.ToValidUTF8(text, "?"))
}
