package tlsrpt

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"mta-sts-daemon/resolver/dnsclient"
	"mta-sts-daemon/resolver/event"
	"mta-sts-daemon/resolver/mtasts"
)

const record = "v=TLSRPTv1; rua=mailto:reports@a.example"

func domain(tb testing.TB, name string) mtasts.Domain {
	tb.Helper()
	d, err := mtasts.ParseDomain(name)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// dns answers for _smtp._tls of any domain.
type dns struct {
	mu     sync.Mutex
	answer dnsclient.Answer[string]
	err    error
	hangs  bool // questions are answered when their context ends
	asked  []string
}

func (d *dns) TXT(ctx context.Context, name string) (dnsclient.Answer[string], error) {
	d.mu.Lock()
	d.asked = append(d.asked, name)
	answer, err, hangs := d.answer, d.err, d.hangs
	d.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return answer, ctx.Err()
	}
	return answer, err
}

func publishes(txts ...string) *dns {
	return &dns{answer: dnsclient.Answer[string]{Records: txts, TTL: time.Hour}}
}

// The collector's protocol, to the byte.
func TestDatagram(t *testing.T) {
	t.Parallel()
	for code, want := range map[Code]string{
		PolicyFetchError:  `301`,
		PolicyInvalid:     `302`,
		WebPKIInvalid:     `303`,
		ValidationFailure: `205`,
	} {
		got, err := encode(Failure{domain(t, "a.example"), code, `status "404"`}, record)
		if err != nil {
			t.Fatal(err)
		}
		want := `{"dpv":"1","d":"a.example","pr":"v=TLSRPTv1; rua=mailto:reports@a.example","policies":[{"policy-type":2,"policy-domain":"a.example","failure-details":[{"c":` +
			want + `,"f":"status \"404\""}],"t":1,"f":1}]}`
		if string(got) != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
}

// Two failures for one cause are one line of a report, whatever the time.
func TestReasonHasNoPresentTime(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, time.January, 2, 0, 0, 0, 0, time.UTC)
	reasons := map[string]bool{}
	for i := range 3 {
		leaf := &x509.Certificate{Raw: []byte{1}, NotAfter: now.AddDate(0, 0, -1), DNSNames: []string{"mta-sts.a.example"}}
		_, err := leaf.Verify(x509.VerifyOptions{Roots: x509.NewCertPool(), CurrentTime: now.Add(time.Duration(i) * time.Hour)})
		text, err := encode(Failure{domain(t, "a.example"), WebPKIInvalid, err.Error()}, record)
		if err != nil {
			t.Fatal(err)
		}
		var got datagram
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		reasons[got.Policies[0].Failures[0].Reason] = true
	}
	if want := "x509: certificate has expired or is not yet valid: it is after 2026-01-01T00:00:00Z"; len(reasons) != 1 || !reasons[want] {
		t.Errorf("%v", reasons)
	}
}

func TestCodeOf(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]Code{"sts-policy-fetch-error": 301, "sts-policy-invalid": 302, "sts-webpki-invalid": 303, "validation-failure": 205, "ok": 0, "": 0} {
		if got, ok := CodeOf(word); got != want || ok != (want != 0) {
			t.Errorf("CodeOf(%q) = %d, %v", word, got, ok)
		}
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		txts []string
		want string
	}{
		"one":                    {[]string{record}, record},
		"next to others":         {[]string{"v=spf1 -all", record, "v=TLSRPTv10; rua=mailto:a@b"}, record},
		"blanks before ;":        {[]string{"v=TLSRPTv1 \t; rua=mailto:a@b"}, "v=TLSRPTv1  ; rua=mailto:a@b"},
		"not printable":          {[]string{"v=TLSRPTv1;\x00rua=mailto:\xc3\xbc@b\x7f"}, "v=TLSRPTv1; rua=mailto:  @b "},
		"no rua":                 {[]string{"v=TLSRPTv1;"}, "v=TLSRPTv1;"}, // as Postfix; the collector's to judge
		"none":                   {nil, ""},
		"two":                    {[]string{record, record}, ""},
		"no delimiter":           {[]string{"v=TLSRPTv1"}, ""},
		"no delimiter but blank": {[]string{"v=TLSRPTv1 rua=mailto:a@b"}, ""},
		"in lower case":          {[]string{"v=tlsrptv1; rua=mailto:a@b"}, ""},
		"blank at the start":     {[]string{" " + record}, ""},
		"too long":               {[]string{record + strings.Repeat("x", maxRecord)}, ""},
	} {
		if got := find(tc.txts); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

// Whatever a domain publishes, a datagram is one JSON object that has it in printable
// ASCII.
func FuzzRecord(f *testing.F) {
	f.Add(record, "v=spf1 -all")
	f.Add("v=TLSRPTv1;\x00", "v=TLSRPTv1 ;")
	a := domain(f, "a.example")
	f.Fuzz(func(t *testing.T, one, two string) {
		record := find([]string{one, two})
		if record == "" {
			return
		}
		if !isRecord(record) || strings.ContainsFunc(record, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%q", record)
		}
		text, err := encode(Failure{a, PolicyInvalid, "r"}, record)
		if err != nil {
			t.Fatal(err)
		}
		var got datagram
		if err := json.Unmarshal(text, &got); err != nil || got.Record != record {
			t.Errorf("%v in %s", err, text)
		}
	})
}

// A record is asked for once in its time to live, between a minute and an hour.
func TestRecordsAreCached(t *testing.T) {
	for name, tc := range map[string]struct {
		dns  *dns
		life time.Duration
	}{
		"record":       {publishes(record), time.Hour},
		"long life":    {&dns{answer: dnsclient.Answer[string]{Records: []string{record}, TTL: 24 * time.Hour}}, time.Hour},
		"short life":   {&dns{answer: dnsclient.Answer[string]{Records: []string{record}}}, time.Minute},
		"no record":    {&dns{answer: dnsclient.Answer[string]{TTL: 10 * time.Minute}}, 10 * time.Minute},
		"no DNS today": {&dns{err: errors.New("SERVFAIL")}, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rs := newRecords()
				a := domain(t, "a.example")
				ask := func(asked int) {
					t.Helper()
					record, err := rs.get(t.Context(), tc.dns, a)
					if want := find(tc.dns.answer.Records); record != want || !errors.Is(err, tc.dns.err) {
						t.Errorf("%q, %v", record, err)
					}
					if len(tc.dns.asked) != asked || tc.dns.asked[0] != "_smtp._tls.a.example" {
						t.Errorf("asked for %q, want %d questions", tc.dns.asked, asked)
					}
				}
				ask(1)
				time.Sleep(tc.life - time.Second)
				ask(1)
				time.Sleep(time.Second)
				ask(2)
			})
		})
	}
}

// collector is the reading end of a collector's socket.
type collector struct{ *net.UnixConn }

func collect(t *testing.T, path string) collector {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return collector{conn}
}

func (c collector) read(t *testing.T) datagram {
	t.Helper()
	const timeout = 20 * time.Second
	c.SetReadDeadline(time.Now().Add(timeout))
	text := make([]byte, 64<<10)
	n, err := c.Read(text)
	if err != nil {
		t.Fatal(err)
	}
	var got datagram
	if err := json.Unmarshal(text[:n], &got); err != nil {
		t.Fatalf("%v in %s", err, text[:n])
	}
	return got
}

// bench is a Reporter, its log and its metrics.
type bench struct {
	*Reporter
	reg *prometheus.Registry
	log log
}

// log is a logger's output.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *log) count(e event.Event) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), e.Define().ID)
}

func newBench(t *testing.T, s Settings) *bench {
	b := &bench{reg: prometheus.NewRegistry()}
	b.Reporter = New(s, b.reg, slog.New(slog.NewTextHandler(&b.log, nil)))
	t.Cleanup(b.Close)
	return b
}

func (b *bench) counted(r result) int { return int(testutil.ToFloat64(b.counts[r])) }

// await waits until so many datagrams had that result.
func (b *bench) await(t *testing.T, r result, n int) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); b.counted(r) < n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d %s, want %d", b.counted(r), r, n)
		}
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "socket")
	c := collect(t, path)
	b := newBench(t, Settings{path, publishes(record)})
	for range 3 {
		b.Report(Failure{domain(t, "a.example"), WebPKIInvalid, "expired"})
		want := datagram{"1", "a.example", record, []policy{{2, "a.example", []detail{{303, "expired"}}, 1, 1}}}
		if diff := cmp.Diff(want, c.read(t)); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	}
	b.await(t, sent, 3)
}

// Nothing is sent of a domain that wants no reports, or of which that is not known.
func TestNoReport(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		dns  *dns
		want map[result]int
	}{
		"no TLSRPT record":  {publishes("v=spf1 -all"), map[result]int{}},
		"two":               {publishes(record, record), map[result]int{}},
		"no answer of them": {&dns{err: errors.New("SERVFAIL")}, map[result]int{unanswered: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "socket")
			collect(t, path)
			b := newBench(t, Settings{path, tc.dns})
			b.handle(Failure{domain(t, "a.example"), PolicyInvalid, "r"})
			for _, r := range results {
				if n := b.counted(r); n != tc.want[r] {
					t.Errorf("%d %s", n, r)
				}
			}
		})
	}
}

// Nothing is looked up or sent without a socket, or once the Reporter is closed.
func TestSwitchedOff(t *testing.T) {
	t.Parallel()
	dns := publishes(record)
	b := newBench(t, Settings{"", dns})
	b.Report(Failure{domain(t, "a.example"), PolicyInvalid, "r"})
	b.Configure(Settings{filepath.Join(t.TempDir(), "socket"), dns})
	b.Close()
	b.Report(Failure{domain(t, "a.example"), PolicyInvalid, "r"})
	if len(dns.asked) > 0 || len(b.queue) > 0 {
		t.Errorf("asked for %q, %d wait", dns.asked, len(b.queue))
	}
}

// A socket that is missing, or whose collector does not read, costs the datagrams alone,
// and is logged once. A reload names another socket.
func TestLostReports(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := domain(t, "a.example")
	missing, slow, good := filepath.Join(dir, "missing"), filepath.Join(dir, "slow"), filepath.Join(dir, "good")
	b := newBench(t, Settings{missing, publishes(record)})
	for range 5 {
		b.Report(Failure{a, PolicyFetchError, "refused"})
	}
	b.await(t, unreachable, 5)
	if n := b.log.count(event.ReportsLost); n != 1 {
		t.Errorf("logged %d times", n)
	}
	c := collect(t, missing) // the collector starts
	b.Report(Failure{a, PolicyFetchError, "refused"})
	c.read(t)

	collect(t, slow)
	b.Configure(Settings{slow, publishes(record)})
	for n := b.counted(full); b.counted(full) < n+5; {
		b.Report(Failure{a, PolicyFetchError, "refused"})
		time.Sleep(100 * time.Microsecond)
	}
	if n := b.log.count(event.ReportsLost); n != 2 {
		t.Errorf("logged %d times", n)
	}

	c = collect(t, good)
	b.Configure(Settings{good, publishes(record)})
	b.Report(Failure{a, PolicyFetchError, "other"})
	for c.read(t).Policies[0].Failures[0].Reason != "other" {
	}
	for deadline := time.Now().Add(20 * time.Second); b.log.count(event.ReportsSent) < 1; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("that datagrams are sent again is not logged")
		}
	}
}

// A collector that is too slow now and then is one event, which ends when nothing was lost
// for a while.
func TestLossIsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Settings{})
		lost := errors.New("resource temporarily unavailable")
		for range 5 {
			b.note("socket", lost)
			time.Sleep(calm - time.Second)
			b.note("socket", nil)
		}
		if lost, sent := b.log.count(event.ReportsLost), b.log.count(event.ReportsSent); lost != 1 || sent != 0 {
			t.Errorf("logged %d and %d times", lost, sent)
		}
		time.Sleep(time.Second)
		b.note("socket", nil)
		b.note("socket", nil)
		if n := b.log.count(event.ReportsSent); n != 1 {
			t.Errorf("the end was logged %d times", n)
		}
	})
}

// While the DNS does not answer, Report returns at once and the queue is bounded.
func TestReportDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Settings{"socket", &dns{hangs: true}})
		a := domain(t, "a.example")
		start := time.Now()
		const more = 10
		for range maxQueued + workers + more {
			b.Report(Failure{a, PolicyFetchError, "refused"})
			synctest.Wait()
		}
		if took := time.Since(start); took != 0 || b.counted(dropped) != more {
			t.Errorf("%d dropped, want %d; after %v", b.counted(dropped), more, took)
		}
	})
}
