package e2e

import (
	"fmt"
	"slices"
	"testing"

	"mta-sts-daemon/resolver/resolvertest"
)

// TestReload sends to the same domains under different configurations. No MX host
// has a certificate that satisfies a policy, so mail is sent if no policy applies
// and deferred if one does.
func TestReload(t *testing.T) {
	w := newWorld(t)
	d := startDaemon(t, w)
	d.stopLater(t)
	// Each attempt stands for itself: no domain is left alone after a failure.
	p := startPostfix(t, w, bookworm, "default_destination_concurrency_failed_cohort_limit = 0")
	domains := []struct {
		name      string
		publishes func(domain string) resolvertest.Behaviour
	}{
		{"enforce.test", enforce},
		{"testing.test", onlyTesting},
		{"partner.test", nil},
		{"sub.partner.test", nil},
		{"group.test", nil},
		{"a.group.test", nil},
		{"a.b.group.test", nil},
	}
	for i, domain := range domains {
		address := fmt.Sprintf("127.0.1.%d", i+1)
		w.addMX(domain.name, "mx."+domain.name, address)
		if domain.publishes != nil {
			w.publish(domain.name, domain.publishes(domain.name))
		}
		startSink(t, w.ca, address+":25", "mx."+domain.name, selfSigned)
	}

	const overrides = `overrides: {
		partner.test: "secure match=mx.partner.test servername=hostname",
		.group.test: "secure match=.group.test servername=hostname",
		enforce.test: notfound}`
	for i, step := range []struct {
		name     string
		settings []string
		keptBack []string
	}{
		{"as published", nil, []string{"enforce.test"}},
		{"overrides", []string{overrides}, []string{"partner.test", "a.group.test", "a.b.group.test"}},
		{"testing enforced", []string{"testing: enforce"}, []string{"enforce.test", "testing.test"}},
		{"monitor", []string{"mode: monitor", "testing: enforce"}, nil},
		{"monitor, overrides", []string{"mode: monitor", overrides}, nil},
		{"as published again", nil, []string{"enforce.test"}},
	} {
		if i > 0 {
			d.reload(t, step.settings...)
		}
		t.Run(step.name, func(t *testing.T) {
			for _, domain := range domains {
				t.Run(domain.name, func(t *testing.T) {
					t.Parallel()
					want := untrusted
					if slices.Contains(step.keptBack, domain.name) {
						want = unknownCA
					}
					checkOutcome(t, want, p.outcome(t, p.send(t, "postmaster@"+domain.name)))
				})
			}
		})
	}
	if got := w.hosts.Requests("enforce.test"); got != 1 {
		t.Errorf("the policy host was asked %d times: a reload has forgotten the policy", got)
	}
}
