// Package bed is the small world that benchmarks discover policies in: a
// resolver, the policy hosts and MX hosts of any number of domains, and the loops that show
// how fast either can be asked. It does as little as it can, so that the servers
// measured in it are its limit and not the other way round.
//
// Its domains have numbers. Those of example.test have a policy each and those of
// absent.test have none; all have an MX host with an address and no TLSA record.
package bed
