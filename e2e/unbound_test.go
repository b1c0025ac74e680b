package e2e

import (
	"net/netip"
	"testing"
)

// Who plays which part in the DNS.
var (
	resolverAddr  = netip.MustParseAddrPort("127.0.0.53:53") // unbound, asked by the daemon and by Postfix
	authorityAddr = netip.MustParseAddrPort("127.0.0.54:53") // has the zone test, asked by unbound
)

// unboundConf makes unbound a plain recursive resolver whose world is the zone
// test.
var unboundConf = `
server:
	interface: ` + resolverAddr.Addr().String() + `
	do-daemonize: no
	use-syslog: no
	logfile: ""
	username: ""
	chroot: ""
	pidfile: ""
	module-config: "iterator"
	do-not-query-localhost: no
	local-zone: "test." nodefault
stub-zone:
	name: "test."
	stub-addr: ` + authorityAddr.Addr().String() + `
remote-control:
	control-enable: no
`

// startUnbound starts the resolver in a root of its own.
func startUnbound(t *testing.T, s suite) {
	t.Helper()
	r := newRoot(t, s)
	r.write(t, "etc/unbound/unbound.conf", unboundConf)
	unbound := startProcess(t, r.command("/usr/sbin/unbound", "-d"))
	unbound.awaitListening(t, resolverAddr.String())
	unbound.stopLater(t)
}
