package simulation

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"mta-sts-daemon/resolver"
	"mta-sts-daemon/resolver/dnsclient"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/policies"
	"mta-sts-daemon/resolver/tlsrpt"
	"mta-sts-daemon/socketmap"
	"mta-sts-daemon/socketmap/tlspolicy"
)

// reports are the TLSRPT datagrams of a process. The reporter and the handler of lookups are
// the real ones. The rule is BEHAVIOUR, TLSRPT: one datagram for each lookup that went without
// a policy by its publisher's fault, and only to domains with one valid TLSRPT record.
type reports struct {
	n         *node
	reporter  *tlsrpt.Reporter
	collector *net.UnixConn
	record    map[mtasts.Domain]bool // the last answer of the DNS: the domain has a valid record
	owed      int                    // datagrams, by the model
	got       int
}

// newReports starts a reporter, and a collector in the node's directory.
func newReports(n *node) (*reports, error) {
	path := filepath.Join(n.w.dir, fmt.Sprintf("tlsrpt-%d", n.number))
	syscall.Unlink(path)
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	rs := &reports{n: n, collector: c, record: map[mtasts.Domain]bool{}}
	rs.reporter = tlsrpt.New(tlsrpt.Settings{Socket: path, TXT: rs}, n.reg, slog.New(slog.DiscardHandler))
	return rs, nil
}

func (rs *reports) close() {
	rs.reporter.Close()
	rs.collector.Close()
}

// TXT implements tlsrpt.TXTSource: a third of the domains have a TLSRPT record, a third two.
func (rs *reports) TXT(_ context.Context, name string) (a dnsclient.Answer[string], err error) {
	d, err := mtasts.ParseDomain(strings.TrimPrefix(name, "_smtp._tls."))
	if err != nil {
		return a, err
	}
	rs.n.w.locked(func(instant) {
		for i, p := range rs.n.w.publishers {
			for range i % 3 {
				if p.domain == d {
					a.Records = append(a.Records, "v=TLSRPTv1; rua=mailto:tls@"+d.String())
				}
			}
		}
		if rs.n.w.dns != dnsWorks {
			a, err = dnsclient.Answer[string]{}, errServfail
		}
		rs.record[d] = len(a.Records) == 1
	})
	return a, err
}

// owe notes that a lookup went without a policy by its publisher's fault. It is called when
// the reporter has asked for the TLSRPT record, or knew it.
func (rs *reports) owe(d mtasts.Domain) {
	if rs.record[d] {
		rs.owed++
	}
}

// receive takes the datagrams that have come. The world is at rest.
func (rs *reports) receive() {
	raw, err := rs.collector.SyscallConn()
	if err != nil {
		return
	}
	var buffer [8 << 10]byte
	raw.Read(func(fd uintptr) bool {
		for {
			size, _, err := syscall.Recvfrom(int(fd), buffer[:], syscall.MSG_DONTWAIT)
			if err != nil {
				return true
			}
			rs.take(buffer[:size])
		}
	})
}

func (rs *reports) take(datagram []byte) {
	var content struct {
		Domain   string `json:"d"`
		Policies []struct {
			Failures []struct {
				Code tlsrpt.Code `json:"c"`
			} `json:"failure-details"`
		} `json:"policies"`
	}
	rs.got++
	err := json.Unmarshal(datagram, &content)
	d, invalid := mtasts.ParseDomain(content.Domain)
	switch {
	case err != nil, invalid != nil, len(content.Policies) != 1, len(content.Policies[0].Failures) != 1:
		rs.n.violation("a datagram for TLSRPT: %s", datagram)
	case !rs.record[d]:
		rs.n.violation("%v: a datagram, but it has no TLSRPT record", d)
	case content.Policies[0].Failures[0].Code == tlsrpt.ValidationFailure:
		rs.n.violation("%v: a datagram about MX hosts, but no lookup had report attributes", d)
	}
}

// audit compares datagrams and lookups. Those that the full socket dropped are counted.
func (rs *reports) audit(dropped int) {
	rs.receive()
	if rs.got+dropped != rs.owed {
		rs.n.violation("%d TLSRPT datagrams and %d dropped for %d lookups", rs.got, dropped, rs.owed)
	}
}

// judgeReport: only a failure that is the publisher's beyond doubt is reported to it
// (BEHAVIOUR, TLSRPT), and such a failure always is: never one of a domain whose policy applies, and none while no
// certificate of a policy host was accepted for ten minutes. A failed fetch is not reported once
// the record that announced the policy is gone.
func (n *node) judgeReport(k *knowledge, l lookup) {
	const doubt = 10 * time.Minute
	last := k.failed.counts() && k.failed.at > max(n.started, n.evicting, n.disturbed) && // the daemon knows of it
		k.failed.at == k.lastFetch && k.failed.id == k.seenID && k.dns.at == 0 // and of nothing later
	here := n.noRoute || n.failing != 0 && l.end-n.failing > doubt-time.Minute // the fault may be
	switch f := l.failure; {
	case f == nil && l.policy == nil && !l.later && last && !here && k.failed.at < l.start && l.end < k.blocked-stored:
		n.violation("%v: the last fetch failed by the publisher's fault, and that is not reported (lookup from %v)", k.domain, l.start)
	case f == nil:
	case l.policy != nil, f.Word == "":
		n.violation("%v: %+v is reported, policy %v", k.domain, f, l.policy)
	case f.ID != "" && k.failed.at == 0 && k.purged < l.start:
		n.violation("%v: %+v is reported, but the last fetch did not fail by the publisher's fault", k.domain, f)
	case n.failing != 0 && l.start-n.failing > doubt+stored:
		n.violation("%v: %+v is reported, but every fetch since %v has failed", k.domain, f, n.failing)
	}
}

// asker is the resolver for one lookup by the handler, which hides the Answer.
type asker struct {
	*resolver.Resolver
	answer resolver.Answer
	err    error
	late   func(*policies.Failure) // called with the failure of a discovery that ends later
}

func (a *asker) note(found resolver.Answer, err error) (resolver.Answer, error) {
	a.answer, a.err = found, err
	if later := found.Later; later != nil {
		found.Later = func() *policies.Failure {
			f := later()
			if f != nil {
				a.late(f)
			}
			return f
		}
	}
	return found, err
}

func (a *asker) Cached(hop resolver.NextHop, at time.Time) (resolver.Answer, bool) {
	found, ok := a.Resolver.Cached(hop, at)
	if ok {
		found, _ = a.note(found, nil)
	}
	return found, ok
}

func (a *asker) Resolve(ctx context.Context, hop resolver.NextHop) (resolver.Answer, error) {
	return a.note(a.Resolver.Resolve(ctx, hop))
}

// ask looks a domain up as a socketmap connection does.
func (n *node) ask(rs *reports, d mtasts.Domain) (resolver.Answer, error) {
	a := &asker{Resolver: n.r}
	a.late = func(f *policies.Failure) {
		go func() {
			time.Sleep(time.Nanosecond) // the reporter has asked for the record
			n.w.locked(func(instant) { rs.receive(); rs.owe(d) })
		}()
	}
	h := tlspolicy.NewHandler(a, tlspolicy.Profile{Reporter: rs.reporter}, nil, slog.New(slog.DiscardHandler))
	req := socketmap.Request{Map: "postfix", Key: d.String(), At: time.Now(), Fits: func([]byte) bool { return true }}
	if _, ok := h.Answer(nil, &req); !ok {
		h.Wait(context.Background(), nil, &req)
	}
	return a.answer, a.err
}
