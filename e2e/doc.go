// Package e2e tests the whole program as it is used: real Postfix asks the
// built mta-sts-daemon, both ask a real resolver, and messages are delivered,
// or kept back, over real TLS. It has nothing but tests.
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
// Redis and Valkey below build/e2e, which takes a minute and Debian's archive; later ones begin at once
// and need no network. A Postfix later than Debian 12's that cannot be had is
// left out: the run names it at its beginning and in the table, and skips its
// tests (go test shows that with -v). mmdebstrap is installed if it is missing; nothing else of the host
// changes, and none of its services is used or started. Without root, without
// namespaces or without mmdebstrap the tests skip themselves and say so.
//
// A test that fails shows all that Postfix, unbound, knot and the daemon have said.
// To begin from nothing: rm -r build/e2e.
//
// # How it works
//
// TestMain builds the daemon and unpacks Debian, then runs the test binary
// once more in network, mount and process namespaces of its own (internal/isolated).
// All of 127/8 is free there, ports 25, 53 and 443 included, and all that was
// started or mounted ends with the binary, even if it is killed. Test runs may
// go on side by side.
//
// Each program, the daemon too, runs in a root of its own: a layer in memory
// above the unpacked tree, which is never written to (root_test.go,
// suite_test.go). Only where both use a socket in the file system the daemon
// runs in Postfix's (unixsocket_test.go).
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
//
// Postfix (postfix_test.go) runs in the foreground and logs to its standard
// output, so that tests wait for a line of the log, and for nothing longer than
// it takes (process_test.go). outcome_test.go reads what the log says of a
// message.
//
// TestChaos breaks the daemon's neighbours, its disk and its limits one by one,
// for a second each; CHAOS=5s makes that longer, and CHAOS_TABLE=file writes
// what became of the lookups as docs/reliability.md has it. TestChaosPeers does so
// to other daemons, and runs only where CHAOS_PEERS names a file of them (peer_test.go).
// TestSoak runs only where SOAK says for how long ("make soak").
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
// Both take lines of their configuration files in place of the usual ones; the
// daemon's reload puts others in force. client_test.go asks the daemon without
// Postfix.
//
// Tests of what the daemon keeps, without Postfix, ask the authority itself and
// switch it off: newBareWorld, askAuthority and stateful_test.go.
//
// Tests of DANE have a DNS that knot signs from the root down and unbound
// validates. It stands still: domains are added first, then it is opened
// (signed_test.go). Zones in it that are unsigned or bogus: knot_test.go.
//
//	w := newSignedWorld(t)
//	d := w.addDomain("good.example", "$D MX 10 mx.$D", "mx.$D A $1", "_25._tcp.mx.$D TLSA 3 1 1 $GOOD")
//	w.open(t)
//	startDaemon(t, w.world, daneAlways).stopLater(t)
//	p := startPostfix(t, w.world, bookworm, doesDANE...)
//
// Each domain is used by one case alone, because resolvers and the daemon
// remember. Where mail is expected to go out because no policy holds, the MX
// host has a certificate that a policy would have refused. The addresses are
// fixed, so tests with a world do not run in parallel; their subtests may.
//
// Another release of Debian is one more suite in suite_test.go.
package e2e
