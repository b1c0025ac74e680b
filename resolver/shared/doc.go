// Package shared is the memory of a fleet: policies that its nodes have fetched,
// kept in a Valkey or Redis that all of them use.
//
// It is a second memory. Each node's own store is the authority, and a domain
// about which the shared store does not answer at once counts as not known. Any
// value in it may be written by somebody else: read.go and codec.go accept only a
// policy that its policy host could have served, and with a key only what a node
// of the fleet wrote.
//
// Each domain's key has one value, a policy or a purge. A newer value replaces an
// older one (script.go) and is published in the same step (listen.go). Purges are
// numbered, because clocks may be wrong: a policy has the number of the last purge
// that its node knew of when it began the fetch, and a purge removes policies with
// a lower number (numbers.go). "GETRANGE mta-sts:example.com 0 -1" shows a value:
//
//	1766400000 1 policy 5f1c…
//	purges: 3
//	id: 20251222T100000
//	recheck: 1766403600
//
//	version: STSv1
//	…
package shared
