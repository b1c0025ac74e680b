package reports

import (
	"cmp"
	"maps"
	"slices"
)

// Summary is the result. Its JSON is the output for scripts.
type Summary struct {
	// Policies begin with the one under which most sessions failed.
	Policies []Policy `json:"policies"`

	Problems    []Problem `json:"-"` // at most 20
	NumProblems int       `json:"-"`

	domains                               []domain
	reports, duplicates, differing, older int
	senders                               int
	span                                  period
	leftOut                               bool
}

// Policy counts the sessions of all senders under a policy of a domain.
type Policy struct {
	Domain  string   `json:"domain"`
	Type    string   `json:"type"` // sts, tlsa or no-policy-found
	Success uint64   `json:"success"`
	Failure uint64   `json:"failure"`
	Results []Result `json:"results"`

	mode    string
	period  period
	senders []senderRow
	failed  []failureRow
}

// Result counts the sessions that failed at an MX host for the same reason.
type Result struct {
	ResultType string `json:"result_type"`
	MX         string `json:"mx"`
	Count      uint64 `json:"count"`
}

type senderRow struct {
	name string
	senderCounts
}

type failureRow struct {
	failureKey
	failureCounts
}

// The policy types of RFC 8460 section 4.2.
const (
	typeSTS  = "sts"
	typeTLSA = "tlsa"
)

// Summary returns the counts so far.
func (c *Collector) Summary() Summary {
	s := Summary{
		Policies: []Policy{}, Problems: c.problems, NumProblems: c.numProblems,
		reports: c.counted, duplicates: c.duplicates, differing: c.differing, older: c.older, span: c.span, leftOut: c.leftOut,
	}
	senders := map[string]bool{}
	for key, counts := range c.policies {
		p := counts.policy(key)
		for _, sender := range p.senders {
			senders[sender.name] = true
		}
		s.Policies = append(s.Policies, p)
	}
	s.senders = len(senders)
	slices.SortFunc(s.Policies, func(a, b Policy) int {
		return cmp.Or(cmp.Compare(b.Failure, a.Failure), cmp.Compare(a.Domain, b.Domain), cmp.Compare(a.Type, b.Type))
	})
	s.domains = judge(s.Policies)
	return s
}

func (counts *policyCounts) policy(key policyKey) Policy {
	p := Policy{Domain: key.domain, Type: key.kind, Results: []Result{}, mode: counts.mode}
	for name, sender := range counts.senders {
		p.Success = sum(p.Success, sender.success)
		p.Failure = sum(p.Failure, sender.failure)
		p.period.extend(sender.period)
		p.senders = append(p.senders, senderRow{name, *sender})
	}
	slices.SortFunc(p.senders, func(a, b senderRow) int {
		return cmp.Or(cmp.Compare(b.failure, a.failure), cmp.Compare(b.success, a.success), cmp.Compare(a.name, b.name))
	})
	results := map[Result]uint64{} // by a Result without its count
	for key, failure := range counts.failures {
		p.failed = append(p.failed, failureRow{key, *failure})
		if key.result != "" {
			r := Result{ResultType: key.result, MX: key.mx}
			results[r] = sum(results[r], failure.count)
		}
	}
	slices.SortFunc(p.failed, func(a, b failureRow) int {
		return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.result, b.result), cmp.Compare(a.mx, b.mx), cmp.Compare(a.sender, b.sender))
	})
	for r := range maps.Keys(results) {
		p.Results = append(p.Results, Result{r.ResultType, r.MX, results[r]})
	}
	slices.SortFunc(p.Results, func(a, b Result) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.ResultType, b.ResultType), cmp.Compare(a.MX, b.MX))
	})
	return p
}
