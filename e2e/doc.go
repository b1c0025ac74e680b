// Package e2e tests the whole program as it is used: real Postfix asks the
// built mta-sts-daemon, both ask a real resolver, and messages are delivered,
// or kept back, over real TLS. It has nothing but tests.
//
// # Running
//
// As root on Debian:
//
//	go test ./e2e
//	go test -v -run 'TestDelivery' ./e2e     # with the table of all deliveries
//	go test -v -run 'TestDelivery/to/expired.test' ./e2e
//
// The first run unpacks Postfix and unbound below build/e2e, which takes ten
// to twenty seconds and Debian's archive; later ones begin at once and need no
// network. mmdebstrap is installed if it is missing; nothing else of the host
// changes, and none of its services is used or started. Without root, without
// namespaces or without mmdebstrap the tests skip themselves and say so.
//
// A test that fails shows all that Postfix, unbound and the daemon have said.
// To begin from nothing: rm -r build/e2e.
//
// # How it works
//
// TestMain builds the daemon and unpacks Debian, then runs the test binary
// once more in network, mount and process namespaces of its own (namespace_test.go).
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
//	127.0.0.1:443    all policy hosts               world_test.go
//	127.0.0.53:53    unbound                        unbound_test.go
//	127.0.0.54:53    authority for the zone test    world_test.go
//	127.0.1.N:25     MX hosts                       sink_test.go
//	127.0.1.N:587    smart hosts                    sink_test.go
//
// Postfix (postfix_test.go) runs in the foreground and logs to its standard
// output, so that tests wait for a line of the log, and for nothing longer than
// it takes (process_test.go). outcome_test.go reads what the log says of a
// message.
//
// # Adding a test
//
// One more message to one more domain is a row of the table in
// delivery_test.go. A test with settings of its own starts like this:
//
//	w := newWorld(t)
//	startDaemon(t, w, "testing: enforce").stopLater(t)
//	p := startPostfix(t, w, bookworm, "relayhost = [relay.test]:587")
//
// Both take lines of their configuration files in place of the usual ones; the
// daemon's reload puts others in force. client_test.go asks the daemon without
// Postfix.
//
// Each domain is used by one case alone, because resolvers and the daemon
// remember. Where mail is expected to go out because no policy holds, the MX
// host has a certificate that a policy would have refused. The addresses are
// fixed, so tests with a world do not run in parallel; their subtests may.
//
// Another release of Debian is one more suite in suite_test.go.
package e2e
