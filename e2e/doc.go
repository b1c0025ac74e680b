// Package e2e tests the whole program in real use: Postfix asks the built
// mta-sts-daemon, both ask a real resolver, and messages are delivered or deferred
// over real TLS. It contains only tests.
//
// # Running
//
// As root on Debian:
//
//	go test ./e2e
//	go test -v -run TestDelivery ./e2e     # with the table of all cases and versions
//	go test -v -run TestDelivery/to/all/expired.test ./e2e
//
// The first run unpacks Postfix in three versions, unbound, knot, Prometheus,
// Redis, Valkey, nginx, Caddy, Sendmail and Exim below build/e2e, which takes a minute and Debian's archive; later ones begin at once
// and need no network. If a Postfix later than Debian 12's is not available, the run
// names it at its beginning and in the table, and skips its
// tests (go test shows that with -v). mmdebstrap is installed if it is missing; nothing else of the host
// changes, and none of its services is used or started. Without root, without
// namespaces or without mmdebstrap the tests skip themselves and say so.
//
// A failed test shows the output of Postfix, unbound, knot and the daemon. To unpack
// again: rm -r build/e2e.
//
// # How it works
//
// TestMain builds the daemon and unpacks Debian, then runs the test binary again in
// network, mount and process namespaces of its own (internal/isolated). All of 127/8
// is free there, also ports 25, 53 and 443. All processes and mounts end with the
// binary, even if it is killed. Test runs may run in parallel.
//
// Each program, the daemon too, runs in a root of its own: a layer in memory
// above the unpacked tree, which is never written to (root_test.go,
// suite_test.go). Only if both use a socket in the file system, the daemon runs in
// Postfix's root (unixsocket_test.go).
//
//	127.0.0.1:8461   the daemon, socketmap          daemon_test.go
//	127.0.0.1:8462   the daemon, tcp_table          daemon_test.go
//	127.0.0.1:8463   the same with reports          daemon_test.go
//	127.0.0.1:9461   the daemon, metrics            monitoring_test.go
//	127.0.0.1:9462   outcomes, metrics              monitoring_test.go
//	127.0.0.1:9090   Prometheus                     prometheus_test.go
//	127.0.0.1:443    all policy hosts               world_test.go
//	127.0.0.1N:8461  daemons that share a store     sharednodes_test.go
//	127.0.0.1:6379   servers of a shared store      sharedset_test.go
//	10.53.0.2:6379   one in a network of its own    cable_test.go
//	127.0.0.11:53    a container engine's unbound   resolvers_test.go
//	127.0.0.53:53    unbound                        unbound_test.go
//	127.0.0.54:53    authority for the zone test    world_test.go
//	127.0.0.55:53    knot, the signed root zone     knot_test.go
//	127.0.0.56:53    another unbound                daneoutage_test.go
//	127.0.1.N:25     MX hosts                       sink_test.go
//	127.0.2.N:25     second MX hosts                signed_test.go
//	127.0.1.N:587    smart hosts                    sink_test.go
//	127.0.3.9:443    nginx of TestZoo, also ::1     publishzoo_test.go
//	127.0.4.N:25     Postfix of TestZoo             publishzoo_test.go
//
// Postfix (postfix_test.go) runs in the foreground and logs to its standard
// output, so that tests wait for a line of the log and not for a time
// (process_test.go). outcome_test.go reads the outcome of a message from the log.
//
// TestChaos breaks the daemon's neighbours, its disk and its limits one by one,
// for a second each; CHAOS=5s makes that longer, and CHAOS_TABLE=file writes
// the table of docs/reliability.md. TestChaosPeers does the same to other daemons, and
// runs only if CHAOS_PEERS names a file that lists them (peer_test.go). TestSoak runs
// only if SOAK has its duration ("make soak").
//
// # Adding a test
//
// One more message to one more domain is a row of the table in
// delivery_test.go: every version of Postfix sends it, with and without report
// attributes (fleet_test.go, matrix_test.go). A test with settings of its own
// starts like this:
//
//	w := newWorld(t)
//	startDaemon(t, w, "testing: enforce").stopLater(t)
//	p := startPostfix(t, w, bookworm, "relayhost = [relay.test]:587")
//
// or, with all versions side by side,
//
//	f := startFleet(t, w, []answers{plain}, "relayhost = [relay.test]:587")
//
// Both take configuration lines that replace the usual ones; the daemon's reload
// applies others. client_test.go asks the daemon without Postfix.
//
// Tests of the policy file, without Postfix, ask the authority itself and switch it
// off: newBareWorld, askAuthority and stateful_test.go.
//
// Tests of DANE have a DNS that knot signs from the root down and unbound
// validates. Its zones do not change: domains are added first, then it is opened
// (signed_test.go). Zones in it that are unsigned or bogus: knot_test.go.
//
//	w := newSignedWorld(t)
//	d := w.addDomain("good.example", "$D MX 10 mx.$D", "mx.$D A $1", "_25._tcp.mx.$D TLSA 3 1 1 $GOOD")
//	w.open(t)
//	startDaemon(t, w.world, daneAlways).stopLater(t)
//	p := startPostfix(t, w.world, bookworm, doesDANE...)
//
// Each domain is used by one case only, because resolvers and the daemon cache. If mail
// is expected to be sent because no policy applies, the MX host has a certificate
// that would not satisfy a policy. The addresses are fixed, so tests with a world do
// not run in parallel; their subtests may.
//
// Another release of Debian is one more suite in suite_test.go.
package e2e
