package load

import (
	"math"
	"testing"
	"time"
)

func TestBucketsAreNarrow(t *testing.T) {
	t.Parallel()
	for _, d := range []time.Duration{0, 1, 63, 64, 127, 128, 129, 255, 256, 1000, 54_321,
		time.Millisecond, time.Second, time.Hour, math.MaxInt64} {
		low := least(bucket(d))
		if low > d || d-low > d/64 {
			t.Errorf("%d is counted as %d", d, low)
		}
	}
	last := -1
	for d := range time.Duration(100_000) {
		if b := bucket(d); b != last && b != last+1 {
			t.Fatalf("%d has bucket %d after %d", d, b, last)
		} else {
			last = b
		}
	}
}

func TestQuantile(t *testing.T) {
	t.Parallel()
	var h Histogram
	if got := h.Quantile(.5); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
	for d := time.Duration(1); d <= 100; d++ {
		h.Add(d)
	}
	for _, c := range []struct {
		q    float64
		want time.Duration
	}{{0, 1}, {.5, 51}, {.99, 100}, {1, 100}} {
		if got := h.Quantile(c.q); got != c.want {
			t.Errorf("quantile %v: got %d, want %d", c.q, got, c.want)
		}
	}
}
