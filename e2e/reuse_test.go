package e2e

import "testing"

// overKeptConnections has Postfix keep its connections for the next message,
// encrypted ones too. A connection made under a policy stays good, and one that
// was refused is not kept. One made before there was a policy Postfix 3.7 uses on
// without asking, for as long as it keeps it (smtp_connection_reuse_time_limit);
// later ones ask, and make a new one.
func overKeptConnections(t *testing.T, m *matrix) {
	const before, after = "overrides: {late.test: notfound}", "overrides: {}"
	w := newWorld(t)
	d := startDaemon(t, w, before)
	d.stopLater(t)
	f := startFleet(t, w, []answers{plain},
		"default_destination_concurrency_failed_cohort_limit = 0",
		"smtp_tls_connection_reuse = yes",
		"smtp_connection_cache_destinations = good.test, wrong.test, late.test")
	f.each(t, func(t *testing.T, p instance) { p.startTLSProxy(t) })
	tests := []struct {
		domain      string
		certificate certificate
		want        wanted // of the first message
		wantLate    wanted // of the second
		reused      func(p instance) bool
	}{
		{"good.test", goodCertificate, always(verified), always(verified), func(instance) bool { return true }},
		{"wrong.test", wrongName, refusedByProxy, refusedByProxy, func(instance) bool { return false }},
		{"late.test", selfSigned, always(untrusted), func(p instance) expectation {
			if p.suite == bookworm {
				return untrusted
			}
			return withoutFault(unknownCA)
		}, func(p instance) bool { return p.suite == bookworm }},
	}
	sinks := make(map[string]*sink)
	for i, test := range tests {
		w.publish(test.domain, enforce(test.domain))
		sinks[test.domain] = w.openMX(t, test.domain, i+1, test.certificate)
	}
	for _, test := range tests {
		row := m.row("connection reuse, " + test.domain)
		t.Run(test.domain, func(t *testing.T) {
			f.deliver(t, row, "postmaster@"+test.domain, sinks[test.domain], test.want)
		})
	}
	d.reload(t, after)
	for _, test := range tests {
		row := m.row("connection reuse, " + test.domain + ", next message")
		t.Run(test.domain, func(t *testing.T) {
			f.deliver(t, row, "postmaster@"+test.domain, sinks[test.domain], test.wantLate)
		})
	}
	f.each(t, func(t *testing.T, p instance) {
		lines, _ := p.master.said.snapshot()
		for _, test := range tests {
			if got := containing(lines, "TLS connection reused to mx."+test.domain) > 0; got != test.reused(p) {
				t.Errorf("a connection to %s was reused: %v, want %v", test.domain, got, test.reused(p))
			}
		}
	})
}

// refusedByProxy is mismatch.
func refusedByProxy(p instance) expectation { return withoutFault(p.inItsWords(mismatch)) }

// withoutFault is the smtp client's log of a fault that tlsproxy has found and
// logged itself.
func withoutFault(want expectation) expectation {
	want.fault = ""
	return want
}

// startTLSProxy adds the service that keeps encrypted connections open, which
// Debian leaves out, and puts it in force.
func (p *postfix) startTLSProxy(t *testing.T) {
	t.Helper()
	run(t, p.root.command("/usr/sbin/postconf", "-M", "tlsproxy/unix=tlsproxy unix - - y - 0 tlsproxy"))
	run(t, p.root.command("/usr/sbin/postfix", "reload"))
	p.master.awaitSaid(t, "reload -- version ", 1)
}
