package e2e

import (
	"syscall"
	"testing"

	"mta-sts-daemon/resolver/resolvertest"
)

// daemonDown has Postfix send while the daemon does not run: all mail waits,
// and goes out, still under the policy, when the daemon is back.
func daemonDown(t *testing.T, m *matrix) {
	w := newWorld(t)
	f := startFleet(t, w, []answers{plain})
	w.publish("enforce.test", enforce("enforce.test"))
	for i, domain := range []struct {
		name string
		want expectation
	}{
		{"enforce.test", verified},
		{"no-record.test", trusted},
	} {
		mx := w.openMX(t, domain.name, i+1, goodCertificate)
		waiting := f.send(t, "postmaster@"+domain.name)
		down, back := m.row("daemon down, "+domain.name), m.row("the same, daemon back")
		f.each(t, func(t *testing.T, p instance) {
			got := p.outcome(t, waiting[p.name()])
			down.record(p, got)
			p.check(t, undecided, got, mx, "postmaster@"+domain.name)
		})
		d := startDaemon(t, w)
		f.each(t, func(t *testing.T, p instance) {
			p.flush(t)
			got := p.awaitSent(t, waiting[p.name()])
			back.record(p, got)
			p.check(t, domain.want, got, mx, "postmaster@"+domain.name)
		})
		d.stop(t)
	}
}

// daemonStopped ends the daemon, as its service manager does, while Postfix
// waits for its answer: the answer still comes.
func daemonStopped(t *testing.T, m *matrix) {
	w := newWorld(t)
	d := startDaemon(t, w)
	f := startFleet(t, w, []answers{plain})
	asking := ask(t, w, f)
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	awaitRefused(t)
	close(asking.release)
	row := m.row("daemon stopped in mid-lookup")
	f.each(t, func(t *testing.T, p instance) {
		got := p.outcome(t, asking.queueIDs[p.name()])
		row.record(p, got)
		p.check(t, verified, got, asking.sinks[p.name()], asking.recipient(p))
	})
	d.awaitEnd(t)
}

// daemonKilled ends the daemon with no time for an answer: mail waits until
// there is one.
func daemonKilled(t *testing.T, m *matrix) {
	w := newWorld(t)
	d := startDaemon(t, w)
	f := startFleet(t, w, []answers{plain})
	asking := ask(t, w, f)
	if err := d.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	d.awaitEnd(t)
	killed, back := m.row("daemon killed in mid-lookup"), m.row("the same, daemon back")
	f.each(t, func(t *testing.T, p instance) {
		got := p.outcome(t, asking.queueIDs[p.name()])
		killed.record(p, got)
		p.check(t, undecided, got, asking.sinks[p.name()], asking.recipient(p))
	})
	close(asking.release)
	startDaemon(t, w).stopLater(t)
	f.each(t, func(t *testing.T, p instance) {
		p.flush(t)
		got := p.awaitSent(t, asking.queueIDs[p.name()])
		back.record(p, got)
		p.check(t, verified, got, asking.sinks[p.name()], asking.recipient(p))
	})
}

// asking is a lookup of every instance, each for a domain of its own, that the
// daemon has begun and cannot end before release is closed.
type asking struct {
	release  chan struct{}
	queueIDs map[string]string
	sinks    map[string]*sink
}

func ask(t *testing.T, w *world, f fleet) asking {
	t.Helper()
	a := asking{make(chan struct{}), make(map[string]string), make(map[string]*sink)}
	for i, p := range f {
		if p.postfix == nil {
			continue
		}
		domain := a.domain(p)
		asked := make(chan struct{}, 1)
		held := enforce(domain)
		respond := held.Respond
		held.Respond = func(x *resolvertest.HostExchange) {
			select {
			case asked <- struct{}{}:
			default: // again, by the next daemon
			}
			<-a.release
			respond(x)
		}
		w.publish(domain, held)
		a.sinks[p.name()] = w.openMX(t, domain, i+1, goodCertificate)
		a.queueIDs[p.name()] = p.send(t, a.recipient(p))
		receive(t, asked, "a request for the policy")
	}
	return a
}

func (a asking) domain(p instance) string    { return p.name() + ".test" }
func (a asking) recipient(p instance) string { return "postmaster@" + a.domain(p) }
