// Package policies keeps the state of every policy domain: its policy, or that it has
// none, or why the policy could not be fetched, and when the next recheck or refresh is
// due. Package resolver writes it after each discovery. Lookups, the refresh scheduler,
// operators' commands and metrics read it; each sees a domain in one of these states:
//
//	state       meaning                              mail               ends by
//	unknown     nothing, or the DNS fails            as without policy  a discovery
//	absent      no record, until a time              as without policy  time, a discovery
//	broken      a record (also two, or a malformed   as without policy  time, a discovery
//	            one) but no usable policy
//	enforce     a live policy                        as it says         its end, a successor, a purge
//	testing
//	none
//	  failing   the live policy cannot be refreshed  it holds           a successful refresh
//	  mismatch  no MX host matches (enforce)         deferred           other MX hosts, another policy
//	expired     an enforced policy ended without a   as without policy  a discovery; removed after
//	            successor                                               30 days
//
// The policy file (package store) has every policy and is the authority of each
// decision; the LRU of policies is a window on it, so that eviction frees memory
// and loses nothing. Domains without a policy are in an LRU of their own, so that
// a flood of them evicts no policy, and are not saved.
//
// Each verb of Table that changes a domain runs under that domain's lock, reads
// the current entry from memory or, if memory lacks it, from the file, decides, and
// writes memory and file. A caller may hold an Entry that has been replaced in the
// meantime: verbs that change an entry's state take it by its fetch, and do nothing
// if another policy is current.
package policies
