package main

import (
	"cmp"
	"fmt"
	"strings"

	"mta-sts-daemon/cmd/internal/admin"
	"mta-sts-daemon/cmd/internal/layout"
)

// prospect counts the domains that the daemon lists by the effect that mode
// enforce would have on mail to them.
type prospect struct {
	domains                               int
	protected, mismatched, deferred, rest int
	monitor                               bool // the daemon is in mode monitor
}

func (p *prospect) add(l admin.Listed) {
	p.domains++
	p.monitor = p.monitor || l.Withheld != ""
	status, _, _ := strings.Cut(cmp.Or(l.Withheld, l.Answer), " ")
	switch {
	case status == "TEMP":
		p.deferred++
	case status != "OK":
		p.rest++
	case l.MismatchDefers():
		p.mismatched++
	default:
		p.protected++
	}
}

func (p prospect) String() string {
	return fmt.Sprintf("%s protected, %d deferred because no MX host matches the policy, %d deferred by TEMP, %d sent without protection",
		layout.Count(p.protected, "domain"), p.mismatched, p.deferred, p.rest)
}
