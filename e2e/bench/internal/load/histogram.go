package load

import (
	"math/bits"
	"time"
)

// Histogram counts latencies in buckets that are at most 1/64 of their value
// wide. The zero Histogram is empty.
type Histogram struct {
	buckets [64 * (64 - 5)]uint64
	count   uint64
}

// Add counts one latency.
func (h *Histogram) Add(d time.Duration) {
	h.buckets[bucket(d)]++
	h.count++
}

// Quantile returns the latency that a share q of all, 0 to 1, do not exceed: the
// lower bound of its bucket. It is 0 without latencies.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := uint64(q * float64(h.count))
	var seen uint64
	for i, n := range h.buckets {
		if seen += n; seen > rank || n > 0 && seen == h.count {
			return least(i)
		}
	}
	return 0
}

// bucket keeps the seven highest binary digits of a latency: each value below 128
// ns has a bucket of its own, and each power of two above has 64.
func bucket(d time.Duration) int {
	v := uint64(max(d, 0))
	shift := max(bits.Len64(v)-7, 0)
	return shift<<6 + int(v>>shift)
}

// least is the inverse of bucket.
func least(i int) time.Duration {
	shift := max(i>>6-1, 0)
	return time.Duration(i-shift<<6) << shift
}
