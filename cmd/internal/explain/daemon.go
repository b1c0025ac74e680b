package explain

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"mta-sts-daemon/cmd/internal/admin"
	"mta-sts-daemon/socketmap"
)

// daemonLimit is the time limit for the daemon's reply. The daemon answers within
// its answer_timeout, 8 s by default.
const daemonLimit = 20 * time.Second

// Asker asks the running daemon; *admin.Client is one.
type Asker interface {
	// Domain returns the daemon's knowledge of a domain; admin.ErrUnknown if it
	// has none.
	Domain(ctx context.Context, domain string) (admin.Domain, error)
	// Lookup looks a next hop up as Postfix does.
	Lookup(ctx context.Context, name socketmap.MapName, key string) (admin.Lookup, error)
}

// askDaemon asks the running daemon for its knowledge of the domain, and then for
// its answer. The order matters: a lookup may change that knowledge.
func (l *look) askDaemon(ctx context.Context) {
	if l.Daemon == nil {
		return
	}
	d := &Daemon{}
	l.report.Daemon = d
	ctx, cancel := context.WithTimeout(ctx, daemonLimit)
	defer cancel()
	known, err := l.Daemon.Domain(ctx, l.report.Domain)
	if err == nil {
		d.Known = &known
		d.Expired = known.Policy != nil && !l.now.Before(known.Policy.Expires)
	}
	if err == nil || errors.Is(err, admin.ErrUnknown) {
		var lookup admin.Lookup
		lookup, err = l.Daemon.Lookup(ctx, l.asked(), l.key)
		d.Answer, d.Withheld = lookup.Answer, lookup.Withheld
		l.others = map[socketmap.MapName]string{}
		for _, name := range l.Maps[min(len(l.Maps), 1):] {
			if err == nil {
				lookup, err = l.Daemon.Lookup(ctx, name, l.key)
				l.others[name] = lookup.Answer
			}
		}
	}
	switch {
	case ctx.Err() != nil:
		d.Problem = fmt.Sprintf("no answer within %v", daemonLimit)
	case err != nil:
		d.Problem = printed(err.Error())
	}
}

// remembered is the live policy that the daemon had before it was asked; nil for
// none.
func (l *look) remembered() *admin.Policy {
	d := l.report.Daemon
	if d == nil || d.Known == nil || d.Expired {
		return nil
	}
	return d.Known.Policy
}

// absence says why the daemon applies no policy, as far as it knows; "" if it has one or
// knows nothing.
func (d *Daemon) absence() string {
	switch k := d.Known; {
	case k == nil || k.Policy != nil:
	case !k.NoneUntil.IsZero():
		return fmt.Sprintf("remembers until %s that there was no policy", date(k.NoneUntil))
	case k.Failure != nil:
		return "could not use the policy: " + printed(cmp.Or(k.Failure.Reason, k.Failure.Result))
	case !k.Retry.IsZero():
		return fmt.Sprintf("could not find out whether there is a policy, and asks again at a lookup after %s: %s", date(k.Retry), printed(k.Reason))
	}
	return ""
}

// patterns are those that Postfix's answer is made of: the published policy's
// unless the daemon goes by an older one.
func (l *look) patterns() []string {
	old := l.remembered()
	if old != nil && (l.policy == nil || l.report.PostfixAfresh != "") {
		return old.MX
	}
	if l.policy == nil {
		return nil
	}
	return l.policy.MX
}

// sayMemory reports differences between the daemon's policy and the published
// one.
func (l *look) sayMemory() {
	old := l.remembered()
	if old == nil {
		return
	}
	p, id := l.policy, l.report.Record.ID
	switch {
	case p == nil:
		l.say("The daemon applies the policy that it fetched on %s until %s, although none can be fetched now.", date(old.Fetched), date(old.Expires))
	case id != old.ID:
		l.say("The daemon knew the policy of id %s; it fetches that of id %s when the record's time to live has passed.", printed(old.ID), id)
	case p.Mode.String() != old.Mode || !slices.Equal(p.MX, old.MX):
		l.say("The policy changed and its id did not: the daemon sees that when it next fetches the policy.")
	}
	if old.Failures > 0 && p != nil {
		l.say("This fetch succeeded, but those of the daemon before it failed: %d in a row.", old.Failures)
	}
}
