package outcomes

import (
	"cmp"
	"slices"
)

// Summary has the counts of a Tally. Its JSON is the output for scripts.
type Summary struct {
	// Since and Until are the times of the first and last line that counted, as the
	// log has them.
	Since string `json:"since,omitempty"`
	Until string `json:"until,omitempty"`
	// Blind: there are deliveries, and the log does not say how any was secured,
	// because smtp_tls_loglevel is 0 and Postfix is older than 3.11.
	Blind bool `json:"blind"`
	// Incomplete counts delivery lines that were cut off before the status.
	Incomplete uint64 `json:"incomplete"`

	Shares     Shares     `json:"shares"`
	Deliveries []Delivery `json:"deliveries"`
	Failures   []Failure  `json:"failures"`
	Messages   []Message  `json:"messages"`
	// Domains begin with those that TLS failed most.
	Domains []Domain `json:"domains"`
	// DomainsForgotten counts the domains that were dropped at the limit.
	DomainsForgotten uint64 `json:"domains_forgotten"`

	lines uint64
}

// Shares are the figures of a roll-out that the log has. Each is a part of
// recipients, an attempt for each.
type Shares struct {
	// Encrypted and Verified are parts of those sent whose security is known.
	Encrypted Share `json:"encrypted"`
	Verified  Share `json:"verified"`
	// Enforced is the part of attempts under a policy that had a verified
	// connection. Those that failed before TLS, such as by a timeout, are not among
	// them.
	Enforced Share `json:"enforced"`
	// TLSDeferred is the part of all attempts that TLS failed.
	TLSDeferred Share `json:"tls_deferred"`
}

// Share is Part of All.
type Share struct {
	Part uint64 `json:"part"`
	All  uint64 `json:"all"`
}

// Delivery counts attempts.
type Delivery struct {
	Policy string `json:"policy"`
	TLS    string `json:"tls"`
	Status string `json:"status"`
	Count  uint64 `json:"count"`
}

// Failure counts attempts that TLS failed.
type Failure struct {
	Reason string `json:"reason"`
	Count  uint64 `json:"count"`
	// Sample is the last line of the log with it; in Domains alone.
	Sample string `json:"sample,omitempty"`
}

// Message counts messages, each once, by what became of it last.
type Message struct {
	Status string `json:"status"`
	Count  uint64 `json:"count"`
}

// Domain is what became of mail to a domain, or to a relay.
type Domain struct {
	Domain    string    `json:"domain"`
	Policy    string    `json:"policy"`
	Sent      uint64    `json:"sent"`
	Deferred  uint64    `json:"deferred"`
	Bounced   uint64    `json:"bounced"`
	Encrypted uint64    `json:"encrypted"` // of those sent
	Verified  uint64    `json:"verified"`  // of those sent
	Failures  []Failure `json:"failures"`
}

func (d Domain) failed() (n uint64) {
	for _, f := range d.Failures {
		n += f.Count
	}
	return n
}

// Summary returns the counts so far.
func (t *Tally) Summary() Summary {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := Summary{
		Since: t.since, Until: t.until, Incomplete: t.incomplete, DomainsForgotten: t.forgotten, lines: t.lines,
		Deliveries: []Delivery{}, Failures: []Failure{}, Messages: []Message{}, Domains: []Domain{},
	}
	if t.wrapped != "" {
		s.Incomplete++
	}
	for key, n := range t.settled() {
		s.Deliveries = append(s.Deliveries, Delivery{key.policy.String(), key.tls.String(), key.status.String(), n})
		s.Shares.add(key, n)
	}
	s.Blind = t.blind() && len(s.Deliveries) > 0
	success, failure := t.enforced()
	s.Shares.Enforced = Share{success, success + failure}
	slices.SortFunc(s.Deliveries, func(a, b Delivery) int {
		return cmp.Or(cmp.Compare(a.Policy, b.Policy), cmp.Compare(a.TLS, b.TLS), cmp.Compare(a.Status, b.Status))
	})
	s.Failures = failures(&t.failures, nil)
	for _, f := range s.Failures {
		s.Shares.TLSDeferred.Part += f.Count
	}
	for status, n := range t.messageCounts() {
		if n > 0 {
			s.Messages = append(s.Messages, Message{statusNames[status], n})
		}
	}
	for _, name := range t.domains.Keys() {
		if d, ok := t.domains.Peek(name); ok {
			s.Domains = append(s.Domains, t.domain(name, d))
		}
	}
	slices.SortFunc(s.Domains, func(a, b Domain) int {
		return cmp.Or(cmp.Compare(b.failed(), a.failed()), cmp.Compare(a.Domain, b.Domain))
	})
	return s
}

// deliveryKey is the labels of a count.
type deliveryKey struct {
	policy Policy
	tls    security
	status status
}

// settled returns the deliveries with undecided values resolved by settle.
func (t *Tally) settled() map[deliveryKey]uint64 {
	all := make(map[deliveryKey]uint64)
	for p := range numPolicies {
		for tls := range numSecurities {
			for s := range numStatuses {
				if n := t.deliveries[p][tls][s]; n > 0 {
					all[deliveryKey{p, t.settle(tls), s}] += n
				}
			}
		}
	}
	return all
}

// enforced counts the attempts under a policy: success over a verified connection,
// failure otherwise, also if the message was sent. If the log has no TLS
// information, both are 0.
func (t *Tally) enforced() (success, failure uint64) {
	if t.blind() {
		return 0, 0
	}
	failure = t.failedUnderPolicy
	for key, n := range t.settled() {
		switch {
		case !key.policy.applies():
		case key.tls == verified:
			success += n
		case key.status == sent && key.tls != unknownTLS:
			failure += n
		}
	}
	return success, failure
}

// blind reports whether the log does not say how connections were secured.
func (t *Tally) blind() bool { return !t.tlsLines && !t.features }

// settle resolves a value that a delivery line left undecided.
func (t *Tally) settle(s security) security {
	switch {
	case s == silent && t.tlsLines, s == unsecured && !t.blind():
		return noTLS
	case s == silent, s == unsecured:
		return unknownTLS
	}
	return s
}

// messageCounts counts those in the queue too.
func (t *Tally) messageCounts() [numStatuses]uint64 {
	counts := t.left
	for _, m := range t.messages.Values() {
		if s, ok := m.status(); ok {
			counts[s]++
		}
	}
	return counts
}

func (t *Tally) domain(name string, c *domainCounts) Domain {
	d := Domain{Domain: name, Policy: c.policy.String(), Failures: failures(&c.failures, &c.samples)}
	for tls := range numSecurities {
		n := c.attempts[tls]
		d.Sent += n[sent]
		d.Deferred += n[deferred]
		d.Bounced += n[bounced]
		if s := t.settle(tls); s > noTLS {
			d.Encrypted += n[sent]
			if s == verified {
				d.Verified += n[sent]
			}
		}
	}
	return d
}

func failures(counts *[numReasons]uint64, samples *[numReasons]string) []Failure {
	all := []Failure{}
	for r := noReason + 1; r < numReasons; r++ {
		if counts[r] == 0 {
			continue
		}
		f := Failure{Reason: r.String(), Count: counts[r]}
		if samples != nil {
			f.Sample = samples[r]
		}
		all = append(all, f)
	}
	slices.SortStableFunc(all, func(a, b Failure) int { return cmp.Compare(b.Count, a.Count) })
	return all
}

// add counts n attempts in the shares that need no reason.
func (s *Shares) add(key deliveryKey, n uint64) {
	s.TLSDeferred.All += n
	if key.status == sent && key.tls != unknownTLS {
		s.Encrypted.All += n
		s.Verified.All += n
		if key.tls > noTLS {
			s.Encrypted.Part += n
		}
		if key.tls == verified {
			s.Verified.Part += n
		}
	}
}
