package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestManyAtOnce sends many messages to a few domains at the same time. As many
// processes of Postfix ask at once, while the policy hosts still think; each
// domain is discovered once.
func TestManyAtOnce(t *testing.T) {
	const domains, messages = 10, 5 // to each; five at once is where Postfix begins
	w := newWorld(t)
	startDaemon(t, w).stopLater(t)
	p := startPostfix(t, w, bookworm)
	var sinks [domains]*sink
	domain := func(i int) string { return fmt.Sprintf("many%d.test", i) }
	for i := range sinks {
		address := fmt.Sprintf("127.0.1.%d", i+1)
		w.addMX(domain(i), "mx."+domain(i), address)
		w.publish(domain(i), enforceAfter(2*time.Second)(domain(i)))
		sinks[i] = startSink(t, w.ca, address+":25", "mx."+domain(i), goodCertificate)
	}

	var queueIDs [domains * messages]string
	t.Run("send", func(t *testing.T) {
		for n := range queueIDs {
			t.Run(fmt.Sprint(n), func(t *testing.T) {
				t.Parallel()
				queueIDs[n] = p.send(t, "postmaster@"+domain(n%domains))
			})
		}
	})
	agents := make(map[string]bool)
	for _, queueID := range queueIDs {
		checkOutcome(t, verified, p.outcome(t, queueID))
		lines, _ := p.master.said.snapshot()
		pid, _ := findAgent(lines, queueID)
		agents[pid] = true
	}
	if len(agents) <= domains {
		t.Errorf("%d processes have delivered: no two have asked for the same domain at once", len(agents))
	}
	for i, mx := range sinks {
		if got := len(mx.Received()); got != messages {
			t.Errorf("%s has taken %d messages, want %d", mx.host, got, messages)
		}
		if got := w.hosts.Requests(domain(i)); got != 1 {
			t.Errorf("the policy host of %s was asked %d times, want once", domain(i), got)
		}
		if got := w.zone.Queries("_mta-sts."+domain(i), dns.TypeTXT); got != 1 {
			t.Errorf("the record of %s was asked for %d times, want once", domain(i), got)
		}
	}
}
