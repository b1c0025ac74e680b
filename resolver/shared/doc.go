// Package shared is the memory of a fleet: policies that its nodes have fetched,
// kept in a Valkey or Redis that all of them use.
//
// It is a second memory. Each node's own store stays its authority, and what the
// shared one cannot say at once counts as not known. What it does say are
// strangers' bytes: read.go and codec.go let nothing pass but a policy that its
// policy host could have served, and with a key nothing but what a node of the
// fleet wrote.
//
// Under a domain's key is one value, a policy or a purge, and the newer one stays
// (script.go). Who writes it tells the others in the same step (listen.go). The
// value is text that "GETRANGE mta-sts:example.com 0 -1" shows:
//
//	1766400000 1 policy 5f1c…
//	id: 20251222T100000
//	recheck: 1766403600
//
//	version: STSv1
//	…
package shared
