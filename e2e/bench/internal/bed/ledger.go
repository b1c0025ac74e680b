package bed

import (
	"sync/atomic"
	"time"
)

const recordLabel = "_mta-sts"

// Ledger has the TTLs and policies of the bed, and counts questions and fetches. The zero
// Ledger publishes the first policy of each domain.
type Ledger struct {
	// Records and Absences are questions for the records of domains with a policy and
	// without, Others all other questions. Fetches are of policies.
	Records, Absences, Others, Fetches atomic.Int64

	expires atomic.Int64 // Unix time; 0 for an hour after each answer
	renewed atomic.Pointer[map[string]bool]
}

// ExpireAt lets the TTLs of all answers end at that time, as those of a caching resolver
// do that has asked for everything at once. After it they are 0, until ExpireLate.
func (l *Ledger) ExpireAt(t time.Time) { l.expires.Store(t.Unix()) }

// ExpireLate gives all answers a long TTL again.
func (l *Ledger) ExpireLate() { l.expires.Store(0) }

// Renew gives these domains, and no others, a new policy under a new id.
func (l *Ledger) Renew(domains map[string]bool) { l.renewed.Store(&domains) }

func (l *Ledger) ttl() uint32 {
	at := l.expires.Load()
	if at == 0 {
		return longTTL
	}
	return uint32(max(at-time.Now().Unix(), 0))
}

func (l *Ledger) isRenewed(domain string) bool {
	renewed := l.renewed.Load()
	return renewed != nil && (*renewed)[domain]
}

func (l *Ledger) count(record, published bool) {
	switch {
	case !record:
		l.Others.Add(1)
	case published:
		l.Records.Add(1)
	default:
		l.Absences.Add(1)
	}
}

func (l *Ledger) record(domain string) string {
	if l.isRenewed(domain) {
		return renewedRecord
	}
	return Record
}

// fetch returns the domain's policy to one who fetches it.
func (l *Ledger) fetch(domain string) string {
	l.Fetches.Add(1)
	if l.isRenewed(domain) {
		return policy(domain, renewedLabel)
	}
	return Policy(domain)
}
