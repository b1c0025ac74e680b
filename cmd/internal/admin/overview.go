package admin

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"mta-sts-daemon/cmd/internal/layout"
	"mta-sts-daemon/resolver"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/store"
)

// Overview lists the domains and changes that matter most to an operator.
type Overview struct {
	// Mismatch are the domains whose MismatchDefers, and Temp those with a TEMP, both with
	// the most lookups first; Expiring those that end first, Broken the publishers with the
	// most lookups.
	Mismatch, Temp, Expiring, Broken Some[Listed]
	// Changes are the newest ones, except policies found. Kinds counts all by kind.
	Changes  Some[Change]
	Kinds    map[string]int
	Complete time.Time // from then on none is missing
}

// Some are the first of a list.
type Some[T any] struct {
	First []T
	Total int
}

// More returns how many are not among the first.
func (s Some[T]) More() int { return s.Total - len(s.First) }

// Overview returns up to limit of each kind, and changes since then.
func (c Controls) Overview(limit int, since time.Time) Overview {
	deferred := c.deferrals()
	listed := func(d mtasts.Domain) (l Listed, ok bool) {
		k, ok := c.Resolver.Brief(d)
		k.Domain = d
		return c.listed(k, deferred[d]), ok || deferred[d] != nil
	}
	list := func(domains []mtasts.Domain) (s Some[Listed]) {
		s.Total = len(domains)
		for _, d := range domains[:min(limit, len(domains))] {
			if l, ok := listed(d); ok {
				s.First = append(s.First, l)
			}
		}
		return s
	}
	o := Overview{
		Temp:     list(byLookups(deferred)),
		Expiring: list(c.Resolver.Expiring()),
		Broken:   c.broken(limit),
		Kinds:    map[string]int{},
	}
	for _, d := range c.Resolver.Mismatched() {
		if l, ok := listed(d); ok && l.MismatchDefers() {
			if o.Mismatch.Total++; o.Mismatch.Total <= limit {
				o.Mismatch.First = append(o.Mismatch.First, l)
			}
		}
	}
	h, found := c.history(since), store.ChangeFound.String()
	o.Complete = h.Complete
	for _, change := range h.Changes {
		o.Kinds[change.Kind]++
		if change.Kind == found {
			continue
		}
		if o.Changes.Total++; o.Changes.Total <= limit {
			o.Changes.First = append(o.Changes.First, change)
		}
	}
	return o
}

// byLookups returns the domains with deferrals, those with the most lookups first.
func byLookups(deferred map[mtasts.Domain][]resolver.Deferral) (domains []mtasts.Domain) {
	lookups := map[mtasts.Domain]int{}
	for d, of := range deferred {
		domains = append(domains, d)
		for _, hop := range of {
			lookups[d] += hop.Lookups
		}
	}
	slices.SortFunc(domains, func(a, b mtasts.Domain) int {
		return cmp.Or(cmp.Compare(lookups[b], lookups[a]), cmp.Compare(a.String(), b.String()))
	})
	return domains
}

// broken returns the broken publishers with the most lookups.
func (c Controls) broken(limit int) (s Some[Listed]) {
	order := func(a, b resolver.Known) int {
		return cmp.Or(cmp.Compare(b.Failure.Lookups, a.Failure.Lookups), cmp.Compare(a.Domain.String(), b.Domain.String()))
	}
	var first []resolver.Known // never more than limit: there may be 200,000
	for k := range c.Resolver.Broken {
		s.Total++
		if i, _ := slices.BinarySearchFunc(first, k, order); i < limit {
			first = slices.Insert(first[:min(len(first), limit-1)], i, k)
		}
	}
	for _, k := range first {
		s.First = append(s.First, c.listed(k, nil))
	}
	return s
}

// About describes the change in one line.
func (c Change) About() string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	switch {
	case c.OldMode != "" && c.NewMode != "" && c.OldMode != c.NewMode:
		add("mode %s to %s", c.OldMode, c.NewMode)
	case c.NewMode != "" || c.OldMode != "":
		add("mode %s", cmp.Or(c.NewMode, c.OldMode))
	}
	if c.OldMode != "" && c.NewMode != "" {
		if len(c.Added) > 0 {
			add("mx added: %s", strings.Join(c.Added, " "))
		}
		if len(c.Removed) > 0 {
			add("mx removed: %s", strings.Join(c.Removed, " "))
		}
	}
	if c.ID != "" {
		add("id %s", c.ID)
	}
	if c.Domain == "" {
		add("%s", layout.Count(c.Count, "policy"))
	}
	if c.Reason != "" {
		add("%s", c.Reason)
	}
	return strings.Join(parts, "; ")
}
