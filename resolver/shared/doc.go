// Package shared lets several daemons (nodes) share the policies that they have
// fetched, in a Valkey or Redis that all of them use.
//
// The shared store is a second memory, never an authority. Each node has its own
// policy file; a domain about which the shared store does not answer within the
// timeout counts as unknown there. Anything in it may have been written by others:
// read.go and codec.go accept only a policy that its policy host could have served,
// and, if the nodes have a key, only values that a node with that key wrote.
//
// # Keys
//
//	mta-sts:example.com        the domain's value: a policy, or a purge of it
//	mta-sts:*                  the last purge of all domains
//	mta-sts:purges             the number of the last purge
//	mta-sts:lease:example.com  a node refreshes this policy, so the others do not
//	mta-sts:changes            the channel on which every value written is published
//
// "GETRANGE mta-sts:example.com 0 -1" shows a value, here a policy that was fetched at
// 1766400000 by a node that knew of three purges:
//
//	1766400000 1 policy 5f1c…
//	purges: 3
//	id: 20251222T100000
//	recheck: 1766403600
//
//	version: STSv1
//	…
//
// A newer value replaces an older one (script.go) and is published in the same step
// (listen.go).
//
// # Purges
//
// Purges are numbered, because clocks may be wrong. An operator purges example.com:
// the store counts mta-sts:purges up from 3 to 4, and purge 4 replaces the policy.
// Every node that receives it drops a policy fetched when fewer than four purges were
// known. A node that had begun a fetch before then writes a policy with "purges: 3",
// which the store refuses. The next fetch knows purge 4 and its policy replaces the
// purge. If the store loses its number, the nodes write it again (numbers.go).
//
// # Outages
//
// The only server, or each master of a cluster, is a shard (shards.go) with a queue of
// what waits to be written (outbox.go) and two breakers, for reads and writes
// (breaker.go): after a failure nobody asks the shard for a pause, so lookups do not
// wait for a server that is down.
package shared
