package outcomes

import (
	"context"
	"errors"
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
	addresses []config.Address
	silent    func(error)
	client    *socketmap.Client // nil: not connected
	reported  bool              // that it does not answer, since it last did
	retry     time.Time         // no connection before
	answers   *simplelru.LRU[string, answer]
}

// answer is a policy that the daemon returned at a time.
type answer struct {
	policy Policy
	at     time.Time
}

// NewDaemon returns the daemon whose socketmap listens at one of addresses. silent is
// called when it begins to give no answer.
func NewDaemon(addresses []config.Address, silent func(error)) *Daemon {
	return &Daemon{addresses: addresses, silent: silent, answers: newLRU[string, answer](maxDomains, nil)}
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
		if !d.reported {
			d.reported = true
			d.silent(err)
		}
		return PolicyUnknown
	}
	d.reported = false
	p := policyOf(reply)
	d.answers.Add(strings.Clone(nextHop), answer{p, now})
	return p
}

func (d *Daemon) ask(nextHop string) (reply socketmap.Reply, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), peekTimeout)
	defer cancel()
	if d.client == nil {
		if err := d.connect(ctx); err != nil {
			return socketmap.Reply{}, err
		}
	}
	return d.client.Lookup(ctx, tlspolicy.PeekMap, nextHop)
}

// connect connects to the first address that can be reached.
func (d *Daemon) connect(ctx context.Context) error {
	var failed []error
	for _, at := range d.addresses {
		client, err := socketmap.Dial(ctx, at.Network, at.Address)
		if err == nil {
			d.client = client
			return nil
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
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
