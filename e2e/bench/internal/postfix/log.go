package postfix

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"mta-sts-daemon/e2e/bench/internal/load"
)

// keptLines is how many warnings are shown before a failure, and lines if Postfix ends.
const keptLines = 5

// seen is the state of a log: the events in it so far.
type seen struct {
	version  string
	warnings []string // the last ones
	lines    []string // the last ones of all
	failure  string   // the first line about mail that is not delivered, or a fatal one, after warnings
	verified int      // connections to servers whose certificate is as it must be
	others   int      // other TLS connections
	sent     int
	removed  int            // messages that are no longer in the queue
	last     time.Time      // when the last message was sent
	setup    load.Histogram // of delays before the transmission, see note
	grown    chan struct{}  // closed with the next line that changes any of these
}

// log reads Postfix's log while it is written.
type log struct {
	rest []byte // an incomplete line

	mu sync.Mutex // guards seen
	seen
}

func newLog() *log { return &log{seen: seen{grown: make(chan struct{})}} }

// look calls f with the current state, which f must not keep.
func (l *log) look(f func(*seen)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(&l.seen)
}

// Write takes a part of the log. os/exec calls it, from one goroutine.
func (l *log) Write(text []byte) (int, error) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	changed := false
	l.rest = append(l.rest, text...)
	for {
		line, rest, complete := bytes.Cut(l.rest, []byte("\n"))
		if !complete {
			break
		}
		changed = l.note(string(line), now) || changed
		l.rest = rest
	}
	if changed {
		close(l.grown)
		l.grown = make(chan struct{})
	}
	return len(text), nil
}

var (
	started  = regexp.MustCompile(`daemon started -- version ([\d.]+)`)
	severe   = regexp.MustCompile(`: (fatal|panic|error): `)
	tlsLevel = regexp.MustCompile(`(\w+) TLS connection (established|reused) to `)
	delivery = regexp.MustCompile(` delays=[\d.e-]+/[\d.e-]+/([\d.e-]+)/[\d.e-]+, .*status=(\w+)`)
)

// note reads a line and reports whether it means anything. The third of a message's
// delays is from its acceptance by a smtp(8) process to the first command of the
// transmission: the lookup of the TLS policy, the DNS, the connection, and TLS.
func (s *seen) note(line string, now time.Time) bool {
	s.lines = appendLast(s.lines, line)
	if m := tlsLevel.FindStringSubmatch(line); m != nil {
		if m[1] == "Verified" {
			s.verified++
		} else {
			s.others++
		}
		return true
	}
	if m := delivery.FindStringSubmatch(line); m != nil && m[2] == "sent" {
		seconds, _ := strconv.ParseFloat(m[1], 64) // of digits, a point and an exponent
		s.setup.Add(time.Duration(seconds * float64(time.Second)))
		s.sent++
		s.last = now
		return true
	}
	if strings.HasSuffix(line, ": removed") {
		s.removed++
		return true
	}
	if m := started.FindStringSubmatch(line); m != nil {
		s.version = m[1]
		return true
	}
	if strings.Contains(line, ": warning: ") {
		s.warnings = appendLast(s.warnings, line)
		return false
	}
	if s.failure == "" && (strings.Contains(line, " status=") || severe.MatchString(line)) {
		s.failure = strings.Join(append(s.warnings, line), "\n")
		return true
	}
	return false
}

func appendLast(lines []string, line string) []string {
	return append(lines[max(0, len(lines)+1-keptLines):], line)
}
