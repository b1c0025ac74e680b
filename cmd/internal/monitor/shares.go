package monitor

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mta-sts-daemon/socketmap/tlspolicy"
)

const (
	// SampleInterval is how often Page.Sample is to be called.
	SampleInterval = time.Minute
	// window is how far back the shares of lookups go.
	window = time.Hour
)

// answer is what lookups came to, by the labels of tlspolicy.LookupsMetric.
type answer struct{ result, reason string }

// sample is how many lookups had been counted at a time.
type sample struct {
	at     time.Time
	counts map[answer]float64
}

// lastHour has samples of the counters of lookups. It costs lookups nothing.
type lastHour struct {
	lookups prometheus.Gatherer

	mu      sync.Mutex
	samples []sample // the oldest first
}

func (h *lastHour) now() sample {
	s := sample{at: time.Now(), counts: map[answer]float64{}}
	families, _ := h.lookups.Gather() // what failed is missing
	for _, f := range families {
		if f.GetName() != tlspolicy.LookupsMetric {
			continue
		}
		for _, m := range f.GetMetric() {
			var a answer
			for _, label := range m.GetLabel() {
				switch label.GetName() {
				case tlspolicy.ResultLabel:
					a.result = label.GetValue()
				case tlspolicy.ReasonLabel:
					a.reason = label.GetValue()
				}
			}
			s.counts[a] += m.GetCounter().GetValue()
		}
	}
	return s
}

// add takes a sample and drops those that the window has left behind.
func (h *lastHour) add() {
	s := h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.samples = append(h.samples, s)
	for len(h.samples) > 1 && s.at.Sub(h.samples[1].at) >= window {
		h.samples = h.samples[1:]
	}
}

// clear removes all samples.
func (h *lastHour) clear() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.samples = nil
}

// since returns the lookups since the oldest sample, and when that was taken.
func (h *lastHour) since() (counts map[answer]float64, from time.Time) {
	s := h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.samples) == 0 {
		return nil, s.at
	}
	first := h.samples[0]
	for a := range s.counts {
		s.counts[a] -= first.counts[a]
	}
	return s.counts, first.at
}
