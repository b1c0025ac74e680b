// Package resolvertest plays the outside world of the resolver on loopback: a
// DNS server, a certificate authority and the policy hosts of any number of
// domains, well-behaved or ill in one named way. Tests, benchmarks and the
// end-to-end suite share it; the daemon itself never imports it.
//
// Everything started here ends with the test that started it, and may be
// changed while it serves.
package resolvertest
