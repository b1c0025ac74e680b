package e2e

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// route is a case of deliverAll.
type route struct {
	name   string
	domain string // of the recipient
	open   func(t *testing.T, w *world, address string) (mx *sink)
	want   wanted
	after  func(t *testing.T, w *world) // what else must hold; may be nil
}

func usualRoutes() (routes []route) {
	for _, d := range deliveries {
		routes = append(routes, d.route())
	}
	return routes
}

func (d delivery) route() route {
	ascii := cmp.Or(d.asciiDomain, d.domain)
	requests := 0
	return route{
		name:   d.name,
		domain: d.domain,
		want:   d.wanted(),
		open: func(t *testing.T, w *world, address string) *sink {
			w.addMX(ascii, "mx."+ascii, address)
			if d.publishes != nil {
				policyHost := d.publishes(ascii)
				w.publish(ascii, policyHost)
				if policyHost.Respond != nil && policyHost.Leaf == nil { // the handshake succeeds
					requests = 1
				}
			}
			return startSink(t, w.ca, address+":25", "mx."+ascii, d.certificate)
		},
		after: func(t *testing.T, w *world) {
			if got := w.hosts.Requests(ascii); got != requests {
				t.Errorf("the policy host was asked %d times, want %d", got, requests)
			}
		},
	}
}

// wanted returns the expected outcome under a policy from the outcome without
// one.
func (d delivery) wanted() wanted {
	switch d.want {
	case trusted, untrusted, unencrypted:
		return always(d.want)
	default:
		return underPolicy(d.want)
	}
}

// deliverAll sends one message for each row from all instances, with and without
// report attributes, and compares Postfix's log, and the messages that the MX
// host received, with the requirements of RFC 8461.
func deliverAll(t *testing.T, m *matrix) {
	w := newWorld(t)
	d := startDaemon(t, w)
	d.stopLater(t)
	f := startFleet(t, w, []answers{plain, withAttributes},
		"transport_maps = inline:{ "+strings.Join(transports(), ", ")+" }")
	routes := slices.Concat(usualRoutes(), gapRoutes(), nextHopRoutes())
	t.Run("all", func(t *testing.T) {
		first, second := m.row("enforce, policy host takes 12 s"), m.row("the same, next message")
		t.Run("slower.test", func(t *testing.T) {
			t.Parallel()
			slowerThanAnswer(t, w, d, f, first, second)
		})
		for i, r := range routes {
			row := m.row(r.name)
			t.Run(r.domain, func(t *testing.T) {
				t.Parallel()
				mx := r.open(t, w, fmt.Sprintf("127.0.1.%d", i+1))
				f.deliver(t, row, "postmaster@"+r.domain, mx, r.want)
				if r.after != nil {
					r.after(t, w)
				}
			})
		}
	})
	if got := w.hosts.Requests(redirectTarget); got > 1 {
		t.Errorf("the policy host of %s was asked %d times, also for others", redirectTarget, got)
	}
}
