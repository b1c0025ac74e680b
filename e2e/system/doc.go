// Package system tests the Debian package on booted servers: systemd is the first
// process, apt installs the package, Postfix and unbound run next to it. It contains
// only tests.
//
// # Running
//
// As root on Debian:
//
//	go test ./e2e/system
//	go test -v -run TestSystem/trixie/watchdog ./e2e/system
//
// The first run installs a Debian 12 and a Debian 13 below build/e2e, which
// takes a minute or two and Debian's archive; later ones need no network. If
// Debian 13 is not available, the run names it at its beginning.
// mmdebstrap is installed if it is missing. Nothing else of the host changes: its
// systemd does not know the servers, and it need not have systemd-nspawn or
// systemd at all. Without root, namespaces, cgroup2 or mmdebstrap the tests
// skip themselves and say so.
//
// A test that fails shows the units' status and the journal. To begin from
// nothing: rm -r build/e2e.
//
// # How it works
//
// TestMain has "make packages" build two versions and mmdebstrap install Debian,
// then runs the test binary again in namespaces of its own
// (internal/isolated of e2e), where systemd-nspawn boots one server for each Debian
// (machine_test.go), in parallel. A server's disk is a layer in memory above
// the installed tree, which is never written to (root_test.go); it outlasts
// reboots. Everything ends with the binary, even if it is killed.
//
// Each server has a network of its own, without a route to others. The tests serve
// everything outside of the server, within that network:
//
//	127.0.0.1:8461   the daemon                 on the server
//	127.0.0.1:9462   outcomes, metrics          on the server
//	127.0.0.53:53    unbound                    on the server
//	127.0.0.54:53    authority for the zone test
//	127.0.0.1:443    all policy hosts
//	127.0.1.1:25     the MX host of all domains
//
// # Adding a test
//
// It is one more step of TestSystem, and uses domains of its own:
//
//	const d domain = "new.test"
//	v.publish(d)
//	v.checkLookup(t, string(d), d.secure())
//	v.run(t, "systemctl", "restart", serviceUnit)
//
// Steps restore the server's state, so that each can be run alone.
package system
