package resolver

import "mta-sts-daemon/resolver/mtasts"

// octetsPerEntry is how much memory the policies may take for each entry that
// there may be. A policy has a few hundred octets; only someone who means harm
// publishes many of the 64 KiB that each may have.
const octetsPerEntry = 2 << 10

// octets is about what an entry takes beyond what all do.
func (e *entry) octets() int64 {
	const pattern = 32 // of an MX host pattern, which mostly shares the text's memory
	return int64(len(e.policy.Text) + pattern*len(e.policy.MX))
}

// remember makes e what memory has of the domain's policy. Where policies are
// uncommonly long, fewer of them fit. The lock of the domain's stripe is held.
func (c *cache) remember(d mtasts.Domain, e *entry) {
	c.policies.Remove(d) // or what the one before takes would go on counting
	c.octets.Add(e.octets())
	c.policies.Add(d, e)
	limit := int64(c.settings.Load().Entries) * octetsPerEntry
	for c.octets.Load() > limit && c.policies.Len() > 1 {
		c.policies.RemoveOldest()
	}
}
