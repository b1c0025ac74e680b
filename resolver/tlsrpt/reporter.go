// Package tlsrpt reports to domains, by TLSRPT (RFC 8460), that their MTA-STS policy
// could not be used. Postfix reports its TLS sessions, but learns nothing of the
// discovery of policies.
//
// A domain that wants reports has a TXT record:
//
//	_smtp._tls.example.com. TXT "v=TLSRPTv1; rua=mailto:tls-reports@example.com"
//
// On the sender's host a collector gathers datagrams from a unix socket, of Postfix's
// library libtlsrpt and of this package alike, and sends each domain one report a day.
// A datagram is one JSON object:
//
//	{"dpv":"1","d":"example.com","pr":"v=TLSRPTv1; rua=mailto:tls-reports@example.com",
//	 "policies":[{"policy-type":2,"policy-domain":"example.com",
//	   "failure-details":[{"c":301,"f":"policy host mta-sts.example.com: status 404 Not Found"}],"t":1,"f":1}]}
//
// The collector counts equal datagrams of a day and a domain. Package tlsrpt decides
// nothing: its callers know which failures are a publisher's.
package tlsrpt

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"mta-sts-daemon/resolver/event"
)

const (
	// maxQueued is how many failures wait at most; more are dropped and counted.
	maxQueued = 1000

	// workers is how many failures are handled in parallel. One domain whose name
	// servers do not answer holds one of them for the time limit of a question.
	workers = 4

	// calm is how long no datagram must have been lost before that counts as over: a
	// collector that is too slow loses some and takes others.
	calm = time.Minute
)

// Settings can be changed by a reload.
type Settings struct {
	// Socket is the path of the collector's socket; empty: nothing is reported.
	Socket string
	// TXT is asked for the records of domains.
	TXT TXTSource
}

// Reporter sends failures to the host's collector. It is safe for concurrent use.
type Reporter struct {
	logger   *slog.Logger
	counts   map[result]prometheus.Counter
	settings atomic.Pointer[Settings]
	records  records
	queue    chan Failure
	ctx      context.Context
	cancel   context.CancelFunc
	running  sync.WaitGroup

	mu     sync.Mutex
	losing string    // socket at which datagrams are lost, as the log has it; "" if none are
	lost   time.Time // when the last one was lost
}

// New returns a Reporter; Close ends it. If reg is not nil, it collects the metrics.
func New(s Settings, reg prometheus.Registerer, logger *slog.Logger) *Reporter {
	r := &Reporter{logger: logger, counts: map[result]prometheus.Counter{}, records: newRecords(), queue: make(chan Failure, maxQueued)}
	vec := promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
		Name: "mta_sts_tlsrpt_datagrams_total",
		Help: "Reports of failed discoveries for the host's TLSRPT collector: sent, unreachable (no program reads from tlsrpt.socket), full (the collector reads too slowly), dropped (too many at once) or dns_error (the domain's TLSRPT record could not be looked up).",
	}, []string{"result"})
	for _, result := range results {
		r.counts[result] = vec.WithLabelValues(string(result))
	}
	r.settings.Store(&s)
	r.ctx, r.cancel = context.WithCancel(context.Background())
	for range workers {
		r.running.Go(r.run)
	}
	return r
}

// Configure puts other settings in force, for the failures that wait too.
func (r *Reporter) Configure(s Settings) { r.settings.Store(&s) }

// Close ends the Reporter. Failures that still wait are not reported.
func (r *Reporter) Close() {
	r.cancel()
	r.running.Wait()
}

// Report has a failure reported. It does not wait. Once the Reporter is closed, or
// without a socket, it does nothing.
func (r *Reporter) Report(f Failure) {
	if r.settings.Load().Socket == "" || r.ctx.Err() != nil {
		return
	}
	select {
	case r.queue <- f:
	default:
		r.counts[dropped].Inc()
	}
}

func (r *Reporter) run() {
	for {
		select {
		case f := <-r.queue:
			r.handle(f)
		case <-r.ctx.Done():
			return
		}
	}
}

// handle sends the failure if its domain wants reports.
func (r *Reporter) handle(f Failure) {
	s := r.settings.Load()
	if s.Socket == "" {
		return // switched off meanwhile
	}
	record, err := r.records.get(r.ctx, s.TXT, f.Domain)
	switch {
	case r.ctx.Err() != nil:
		return
	case err != nil:
		r.counts[unanswered].Inc()
		r.logger.Debug("TLSRPT record not known", event.Domain(f.Domain.String()), event.Reason(err))
		return
	case record == "":
		return
	}
	datagram, err := encode(f, record)
	if err != nil {
		r.logger.Debug("Report cannot be encoded", event.Domain(f.Domain.String()), event.Reason(err))
		return
	}
	result, err := send(s.Socket, datagram)
	r.counts[result].Inc()
	r.note(s.Socket, err)
}

// note logs when datagrams begin to be lost at the socket, and when that is over.
func (r *Reporter) note(socket string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	switch {
	case err != nil:
		if r.losing != socket {
			event.ReportsLost.Log(r.logger, event.Socket(socket), event.Reason(err))
		}
		r.losing, r.lost = socket, now
	case r.losing != "" && (r.losing != socket || now.Sub(r.lost) >= calm):
		event.ReportsSent.Log(r.logger, event.Socket(socket))
		r.losing = ""
	}
}
