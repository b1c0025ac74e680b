package outcomes

import (
	"context"
	"strings"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"mta-sts-daemon/config"
	"mta-sts-daemon/socketmap"
	"mta-sts-daemon/socketmap/tlspolicy"
)

const (
	// peekTimeout is how long the daemon has for an answer from memory.
	peekTimeout = time.Second
	// peekPause is how long a daemon that did not answer is left alone.
	peekPause = 10 * time.Second
	// peekLife is how long an answer is used again.
	peekLife = time.Minute
)

// Daemon asks a daemon for the policies that it has in memory, which changes
// nothing there. If it does not answer, policies are unknown. It is not safe for
// concurrent use.
type Daemon struct {
	address config.Address
	client  *socketmap.Client // nil: not connected
	retry   time.Time         // no connection before
	answers *simplelru.LRU[string, answer]
}

// answer is a policy that the daemon returned at a time.
type answer struct {
	policy Policy
	at     time.Time
}

// NewDaemon returns the daemon whose socketmap listens at an address.
func NewDaemon(address config.Address) *Daemon {
	return &Daemon{address: address, answers: newLRU[string, answer](maxDomains, nil)}
}

// Close ends the connection, if there is one.
func (d *Daemon) Close() {
	if d.client != nil {
		d.client.Close()
		d.client = nil
	}
}

// Policy implements Policies.
func (d *Daemon) Policy(nextHop string) Policy {
	now := time.Now()
	if known, ok := d.answers.Get(nextHop); ok && now.Sub(known.at) < peekLife {
		return known.policy
	}
	if d.client == nil && now.Before(d.retry) {
		return PolicyUnknown
	}
	kept := d.client != nil
	reply, err := d.ask(nextHop)
	if err != nil && kept {
		d.Close()
		reply, err = d.ask(nextHop) // the daemon may have closed a connection that was idle
	}
	if err != nil {
		d.Close()
		d.retry = now.Add(peekPause)
		return PolicyUnknown
	}
	p := policyOf(reply)
	d.answers.Add(strings.Clone(nextHop), answer{p, now})
	return p
}

func (d *Daemon) ask(nextHop string) (reply socketmap.Reply, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), peekTimeout)
	defer cancel()
	if d.client == nil {
		if d.client, err = socketmap.Dial(ctx, d.address.Network, d.address.Address); err != nil {
			d.client = nil
			return socketmap.Reply{}, err
		}
	}
	return d.client.Lookup(ctx, tlspolicy.PeekMap, nextHop)
}

// policyOf parses an answer, whose first word is the level. Levels that only an
// override can give, such as encrypt, do not count as a policy of the domain.
func policyOf(reply socketmap.Reply) Policy {
	level, _, _ := strings.Cut(string(reply.Data), " ")
	switch {
	case reply.Status == socketmap.NotFound:
		return PolicyNone
	case reply.Status != socketmap.OK:
		return PolicyUnknown
	case level == "secure":
		return PolicySTS
	case level == "dane", level == "dane-only":
		return PolicyDANE
	}
	return PolicyNone
}
