// Package system tests the Debian package on booted servers: systemd is the first process, apt
// installs the package, and Postfix and unbound run next to it. The package has only tests.
//
// # Running
//
// As root on Debian:
//
//	go test ./e2e/system
//	go test -v -run TestSystem/trixie/watchdog ./e2e/system
//
// The first run installs a Debian 12 and a Debian 13 below build/e2e. This takes some minutes and
// needs Debian's archive; later runs need no network. If Debian 13 is unavailable, its tests
// are left out, which is printed at the begin of the run. mmdebstrap is installed if it is
// missing; "make would-install" lists its packages. Nothing else of the host changes. The host does not need
// systemd-nspawn, or systemd. Without root, namespaces, cgroup2 or mmdebstrap
// the tests are skipped with a message.
//
// A test that fails logs the units' status and the journal. To start from scratch:
// rm -r build/e2e.
//
// # How it works
//
// TestMain builds two versions of the package with "make packages", installs Debian with
// mmdebstrap, and runs the test binary again in namespaces of its own (internal/isolated of e2e).
// There systemd-nspawn boots one server for each Debian (machine_test.go), in parallel. A
// server's disk is an overlay in memory above the installed tree, which stays unchanged
// (root_test.go); the overlay survives reboots. All processes end with the binary, even if it is
// killed.
//
// Each tree has Debian's postfix-mta-sts-resolver installed, so that the installation is a move
// from it. Each server has a network of its own, which is isolated. In it the tests provide the
// world outside the server:
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
// A test is a step of TestSystem, with domains of its own:
//
//	const d domain = "new.test"
//	v.publish(d)
//	v.checkLookup(t, string(d), d.secure())
//	v.run(t, "systemctl", "restart", serviceUnit)
//
// Steps restore the state of the server, so that each can be run alone.
package system
