package dnsclient

import (
	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// askedTypes are all record types that a Client asks for.
var askedTypes = [...]uint16{dns.TypeTXT, dns.TypeMX, dns.TypeA, dns.TypeAAAA, dns.TypeCNAME, dns.TypeTLSA, dns.TypeSOA}

// Metrics count the questions of every Client that is given them.
type Metrics struct {
	byType map[uint16]outcomes
}

// outcomes count the questions for one record type by their result.
type outcomes struct{ records, absent, failed prometheus.Counter }

// NewMetrics returns Metrics registered with reg; reg may be nil.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	queries := promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
		Name: "mta_sts_dns_queries_total",
		Help: "DNS questions, by record type and result: records, absent (the name has no such records) or failed (no usable answer).",
	}, []string{"type", "result"})
	m := &Metrics{byType: make(map[uint16]outcomes, len(askedTypes))}
	for _, t := range askedTypes {
		name := dns.TypeToString[t]
		m.byType[t] = outcomes{
			records: queries.WithLabelValues(name, "records"),
			absent:  queries.WithLabelValues(name, "absent"),
			failed:  queries.WithLabelValues(name, "failed"),
		}
	}
	return m
}

// answered counts a question that f answers.
func (m *Metrics) answered(qtype uint16, f *chain) {
	if len(f.records) > 0 {
		m.byType[qtype].records.Inc()
	} else {
		m.byType[qtype].absent.Inc()
	}
}

// failed counts a question that no server answered.
func (m *Metrics) failed(qtype uint16) { m.byType[qtype].failed.Inc() }
