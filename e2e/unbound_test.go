package e2e

import (
	"net/netip"
	"testing"
)

// Who plays which part in the DNS.
var (
	resolverAddr  = netip.MustParseAddrPort("127.0.0.53:53") // unbound, asked by the daemon and by Postfix
	authorityAddr = netip.MustParseAddrPort("127.0.0.54:53") // has the zone test, asked by unbound
	signerAddr    = netip.MustParseAddrPort("127.0.0.55:53") // knot, with the signed root zone if there is one
	secondAddr    = netip.MustParseAddrPort("127.0.0.56:53") // another unbound, for outages that Postfix does not see
)

// unboundConf makes unbound a plain recursive resolver at addr whose world is
// the zone test.
func unboundConf(addr netip.AddrPort) string {
	return `
server:
	interface: ` + addr.Addr().String() + `
	do-daemonize: no
	use-syslog: no
	logfile: ""
	username: ""
	chroot: ""
	pidfile: ""
	module-config: "iterator"
	do-not-query-localhost: no
	# Or it asks a busy test's name server again, and tests that count would notice.
	infra-cache-min-rtt: 2000
	local-zone: "test." nodefault
stub-zone:
	name: "test."
	stub-addr: ` + authorityAddr.Addr().String() + `
remote-control:
	control-enable: no
`
}

// startUnbound starts the resolver in a root of its own.
func startUnbound(t *testing.T, s suite) {
	t.Helper()
	startUnboundAt(t, s, resolverAddr, "").stopLater(t)
}

// startUnboundAt starts a resolver at addr, with more before its usual
// configuration.
func startUnboundAt(t *testing.T, s suite, addr netip.AddrPort, more string) *process {
	t.Helper()
	r := newRoot(t, s)
	r.write(t, "etc/unbound/unbound.conf", unboundConf(addr)+more)
	unbound := startProcess(t, r.command("/usr/sbin/unbound", "-d"))
	unbound.awaitListening(t, addr.String())
	return unbound
}
