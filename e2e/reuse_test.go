package e2e

import "testing"

// TestConnectionReuse has Postfix keep its connections for the next message,
// encrypted ones too. It does not ask for a policy then: a connection made
// under one stays good, one that was refused is not kept, and one made without
// a policy goes on without for as long as Postfix keeps it
// (smtp_connection_reuse_time_limit).
func TestConnectionReuse(t *testing.T) {
	w := newWorld(t)
	d := startDaemon(t, w, "overrides: {late.test: notfound}")
	d.stopLater(t)
	p := startPostfix(t, w, bookworm,
		"default_destination_concurrency_failed_cohort_limit = 0",
		"smtp_tls_connection_reuse = yes",
		"smtp_connection_cache_destinations = good.test, wrong.test, late.test")
	p.startTLSProxy(t)
	refused := mismatch
	refused.fault = "" // which another process tells, tlsproxy
	tests := []struct {
		domain, address string
		certificate     certificate
		want            expectation // of both messages
		reused          int
	}{
		{"good.test", "127.0.1.1", goodCertificate, verified, 1},
		{"wrong.test", "127.0.1.2", wrongName, refused, 0},
		{"late.test", "127.0.1.3", selfSigned, untrusted, 1},
	}
	for _, test := range tests {
		w.addMX(test.domain, "mx."+test.domain, test.address)
		w.publish(test.domain, enforce(test.domain))
		startSink(t, w.ca, test.address+":25", "mx."+test.domain, test.certificate)
	}
	for _, override := range []string{"overrides: {late.test: notfound}", "overrides: {}"} {
		d.reload(t, override)
		for _, test := range tests {
			t.Run(test.domain, func(t *testing.T) {
				checkOutcome(t, test.want, p.outcome(t, p.send(t, "postmaster@"+test.domain)))
			})
		}
	}
	lines, _ := p.master.said.snapshot()
	for _, test := range tests {
		if got := containing(lines, "TLS connection reused to mx."+test.domain); got != test.reused {
			t.Errorf("a connection to %s was reused %d times, want %d", test.domain, got, test.reused)
		}
	}
}

// startTLSProxy adds the service that keeps encrypted connections open, which
// Debian leaves out, and puts it in force.
func (p *postfix) startTLSProxy(t *testing.T) {
	t.Helper()
	run(t, p.root.command("/usr/sbin/postconf", "-M", "tlsproxy/unix=tlsproxy unix - - y - 0 tlsproxy"))
	run(t, p.root.command("/usr/sbin/postfix", "reload"))
	p.master.awaitSaid(t, "reload -- version ", 1)
}
