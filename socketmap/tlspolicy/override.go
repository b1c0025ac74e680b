package tlspolicy

import (
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/socketmap"
)

// Overrides are the replies that the operator gives, before anything else is
// asked.
type Overrides struct {
	// Exact are for the domain itself, Below for every domain below it.
	Exact, Below map[mtasts.Domain]socketmap.Reply
}

// find prefers the domain itself to its parents, and near ones to far ones.
func (o Overrides) find(d mtasts.Domain) (reply socketmap.Reply, ok bool) {
	if reply, ok = o.Exact[d]; ok || len(o.Below) == 0 {
		return reply, ok
	}
	for parent, more := d.Parent(); more; parent, more = parent.Parent() {
		if reply, ok := o.Below[parent]; ok {
			return reply, true
		}
	}
	return reply, false
}
