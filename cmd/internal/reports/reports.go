// Package reports summarises the TLS reports (RFC 8460) that a domain receives, to answer
// one question of its owner: is it safe to enforce the MTA-STS policy?
//
// Mail servers send a report once a day to the address in the domain's TLSRPT record. It
// counts TLS sessions, and has details of those that failed:
//
//	{
//	  "organization-name": "Sender Inc.",
//	  "date-range": {"start-datetime": "2026-11-27T00:00:00Z", "end-datetime": "2026-11-27T23:59:59Z"},
//	  "contact-info": "postmaster@sender.example",
//	  "report-id": "2026-11-27T00:00:00Z_example.com",
//	  "policies": [{
//	    "policy": {
//	      "policy-type": "sts",
//	      "policy-string": ["version: STSv1", "mode: testing", "mx: *.example.com", "max_age: 86400"],
//	      "policy-domain": "example.com",
//	      "mx-host": ["*.example.com"]
//	    },
//	    "summary": {"total-successful-session-count": 5326, "total-failure-session-count": 3},
//	    "failure-details": [{
//	      "result-type": "certificate-expired",
//	      "receiving-mx-hostname": "mx1.example.com",
//	      "failed-session-count": 3
//	    }]
//	  }]
//	}
//
// It arrives as an attachment of a mail, compressed by gzip. Senders deviate from the RFC, and
// anybody can write a report: everything here is bounded and made printable.
package reports

import (
	"crypto/sha256"
	"math"
	"time"

	"mta-sts-daemon/resolver/printable"
)

// Limits of a Collector.
const (
	maxReports  = 500_000 // identities of reports, to recognise duplicates
	maxRows     = 50_000  // policies, senders and kinds of failures together
	maxProblems = 20      // that are described; all are counted
	maxText     = 255     // bytes of a text in a report, such as a host name
)

// Collector counts the sessions in reports. It is not safe for concurrent use.
type Collector struct {
	since    time.Time
	seen     map[digest]digest // content by identity
	policies map[policyKey]*policyCounts
	rows     int

	counted, duplicates, older int
	differing                  int // duplicates with another content
	span                       period
	problems                   []Problem
	numProblems                int
	leftOut                    bool // whether rows are missing because of maxRows
}

type digest [sha256.Size]byte

// Problem is a file or message that could not be read, or only in part.
type Problem struct{ Name, Reason string }

func (p Problem) String() string { return p.Name + ": " + p.Reason }

// policyKey identifies a policy in all reports.
type policyKey struct{ domain, kind string }

// policyCounts are the sessions under a policy.
type policyCounts struct {
	senders  map[string]*senderCounts
	failures map[failureKey]*failureCounts
	mode     string    // of the most recent report that has the policy's text
	modeAt   time.Time // when that report begins
}

type senderCounts struct {
	success, failure uint64
	period           period
}

type failureKey struct{ sender, result, mx string }

type failureCounts struct {
	count  uint64
	period period
	reason string // the last one, in the sender's words
}

// NewCollector returns a Collector that leaves out reports about the time before since.
func NewCollector(since time.Time) *Collector {
	return &Collector{since: since, seen: map[digest]digest{}, policies: map[policyKey]*policyCounts{}}
}

// problem notes that something could not be read.
func (c *Collector) problem(name, reason string) {
	if c.numProblems++; len(c.problems) < maxProblems {
		c.problems = append(c.problems, Problem{printable.Text(name, maxText), printable.Line(reason, maxText)})
	}
}

// add counts a report. A report is counted once, also if it is sent to several addresses
// or is read twice: duplicates have the same organisation and report-id.
func (c *Collector) add(name string, r report) {
	content := r.digest()
	identity := content
	if r.ID != "" {
		identity = sha256.Sum256([]byte(string(r.Organization) + "\x00" + string(r.ID)))
	}
	if before, ok := c.seen[identity]; ok {
		c.duplicates++
		if before != content {
			c.differing++
		}
		return
	}
	if len(c.seen) == maxReports {
		c.problem(name, "too many reports, this one is left out")
		return
	}
	c.seen[identity] = content
	days := r.period()
	if !days.last.IsZero() && days.last.Before(c.since) {
		c.older++
		return
	}
	c.counted++
	c.span.extend(days)
	for _, p := range r.Policies {
		c.addPolicy(printable.Line(string(r.Organization), maxText), days, p)
	}
}

func (c *Collector) addPolicy(sender string, days period, p policyEntry) {
	counts := row(c, c.policies, p.key(), func() *policyCounts {
		return &policyCounts{senders: map[string]*senderCounts{}, failures: map[failureKey]*failureCounts{}}
	})
	if counts == nil {
		return
	}
	if mode := p.Policy.mode(); mode != "" && !days.first.Before(counts.modeAt) {
		counts.mode, counts.modeAt = mode, days.first
	}
	var detailed uint64
	for _, f := range p.Failures {
		n := f.sessions()
		detailed = sum(detailed, n)
		c.addFailure(counts, failureKey{sender, f.result(), f.mx()}, days, n, f.reason())
	}
	failed := detailed
	if p.Summary.Failure.known {
		failed = p.Summary.Failure.n
	}
	if failed > detailed {
		c.addFailure(counts, failureKey{sender: sender}, days, failed-detailed, "")
	}
	if s := row(c, counts.senders, sender, func() *senderCounts { return &senderCounts{} }); s != nil {
		s.success = sum(s.success, p.Summary.Success.n)
		s.failure = sum(s.failure, failed)
		s.period.extend(days)
	}
}

func (c *Collector) addFailure(counts *policyCounts, key failureKey, days period, n uint64, reason string) {
	if n == 0 {
		return
	}
	if f := row(c, counts.failures, key, func() *failureCounts { return &failureCounts{} }); f != nil {
		f.count = sum(f.count, n)
		f.period.extend(days)
		if reason != "" {
			f.reason = reason
		}
	}
}

// row returns the value of key, which it makes if there is room; otherwise the zero value.
func row[K comparable, V any](c *Collector, rows map[K]*V, key K, fresh func() *V) *V {
	if v := rows[key]; v != nil {
		return v
	}
	if c.rows == maxRows {
		c.leftOut = true
		return nil
	}
	c.rows++
	v := fresh()
	rows[key] = v
	return v
}

// sum adds without overflow.
func sum(a, b uint64) uint64 {
	if a > math.MaxUint64-b {
		return math.MaxUint64
	}
	return a + b
}

// period is from the begin of the first report to the end of the last; zero if no date is
// known.
type period struct{ first, last time.Time }

func (p *period) extend(q period) {
	if !q.first.IsZero() && (p.first.IsZero() || q.first.Before(p.first)) {
		p.first = q.first
	}
	if q.last.After(p.last) {
		p.last = q.last
	}
}

// String returns the first and the last day.
func (p period) String() string {
	day := func(t time.Time) string {
		if t.IsZero() {
			return "?"
		}
		return t.UTC().Format(time.DateOnly)
	}
	first, last := day(p.first), day(p.last)
	if first == last {
		return first
	}
	return first + " to " + last
}
