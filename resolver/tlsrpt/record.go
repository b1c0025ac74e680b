package tlsrpt

import (
	"context"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"mta-sts-daemon/resolver/dnsclient"
	"mta-sts-daemon/resolver/mtasts"
)

// TXTSource asks the DNS for TXT records. An error means that it could not answer; an
// absence is an answer without records.
type TXTSource interface {
	TXT(ctx context.Context, name string) (dnsclient.Answer[string], error)
}

const (
	recordPrefix  = "_smtp._tls."
	recordVersion = "v=TLSRPTv1"
	wsp           = " \t"

	// maxRecord is the longest record that is used, in bytes. It bounds memory: a
	// publisher could have 64 KiB.
	maxRecord = 4 << 10
)

// maxCached is for how many domains records are kept.
const maxCached = 1000

// An answer of the DNS is kept for its TTL, but at least minLife and at most maxLife; a
// failure for minLife.
const (
	minLife = time.Minute
	maxLife = time.Hour
)

// records are the TLSRPT records of domains, asked for when they are needed. It is safe
// for concurrent use.
type records struct {
	cache *lru.Cache[mtasts.Domain, cached]
}

// cached is the answer of the DNS about a domain's record.
type cached struct {
	record string // "" if the domain has no valid one
	err    error  // why that is not known; nil if it is
	until  time.Time
}

func newRecords() records {
	cache, err := lru.New[mtasts.Domain, cached](maxCached)
	if err != nil {
		panic(err) // maxCached is not positive
	}
	return records{cache}
}

// get returns the domain's record, "" if it has no valid one. The error says why the
// DNS could not answer.
func (rs records) get(ctx context.Context, dns TXTSource, d mtasts.Domain) (string, error) {
	if c, ok := rs.cache.Get(d); ok && time.Now().Before(c.until) {
		return c.record, c.err
	}
	answer, err := dns.TXT(ctx, recordPrefix+d.String())
	if ctx.Err() != nil {
		return "", ctx.Err() // what failed says nothing of the domain
	}
	c := cached{err: err}
	if err == nil {
		c.record = find(answer.Records)
	}
	c.until = time.Now().Add(min(max(answer.TTL, minLife), maxLife))
	rs.cache.Add(d, c)
	return c.record, err
}

// find returns the one TLSRPT record among a name's TXT records (RFC 8460 section 3),
// in the form that Postfix gives it: for another form the collector would make a second
// report. Without exactly one record the domain wants no reports, and find returns "".
func find(txts []string) (found string) {
	for _, txt := range txts {
		if !isRecord(txt) {
			continue
		}
		if found != "" || len(txt) > maxRecord {
			return ""
		}
		found = printable(txt)
	}
	return found
}

// isRecord reports whether txt begins with the version and a delimiter.
func isRecord(txt string) bool {
	rest, ok := strings.CutPrefix(txt, recordVersion)
	return ok && strings.HasPrefix(strings.TrimLeft(rest, wsp), ";")
}

// printable returns txt with a blank for each byte that is not printable ASCII.
func printable(txt string) string {
	out := []byte(txt)
	for i, b := range out {
		if b < ' ' || b > '~' {
			out[i] = ' '
		}
	}
	return string(out)
}
