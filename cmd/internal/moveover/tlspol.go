package moveover

import (
	"net/netip"
	"strings"
)

var tlspolSections = []string{"server", "dns", "redis"}

// levels are the words for a log level where ours differs.
var levels = map[string]string{"warn": "warning"}

// tlspol translates a configuration of postfix-tlspol (configs/config.default.yaml there).
func tlspol(r *reader) {
	address, given := r.take("server.address")
	switch {
	case !given:
		r.set(address, "listen.socketmap", "127.0.0.1:8642")
	case address.value == "":
		r.set(address, "listen.socketmap", "127.0.0.1:8642")
		r.note(address, "empty: systemd passed the sockets. Here mta-sts-daemon.socket does; add ListenStream= for each address of main.cf")
	default:
		r.set(address, "listen.socketmap", address.value)
	}
	if s, ok := r.take("server.metrics-address"); ok && s.value != "" {
		r.set(s, "metrics.listen", s.value)
	} else if !ok {
		r.notes = append(r.notes, note{0, "/metrics was served on the socketmap port; here metrics.listen names an address of its own"})
	}
	if s, ok := r.take("server.socket-permissions"); ok {
		r.set(s, "listen.socket_mode", octal(s.value))
	}
	if s, ok := r.take("server.log-level"); ok {
		level := strings.ToLower(s.value)
		if ours, differs := levels[level]; differs {
			level = ours
		}
		r.set(s, "log.level", level)
	}
	if s, ok := r.take("server.log-format"); ok {
		format := strings.ToLower(s.value)
		if format == "text" {
			format = "auto"
		}
		r.set(s, "log.format", format)
	}
	if s, ok := r.take("server.tlsrpt"); ok && isTrue(s.value) {
		r.set(s, "maps", "{QUERY: {tlsrpt: true}}")
	}
	if s, ok := r.take("server.prefetch"); ok && !isTrue(s.value) {
		r.note(s, "policies in use are always fetched again before they end; refresh.idle says for how long after the last lookup")
	}
	if s, ok := r.take("dns.address"); ok {
		r.set(s, "dns.servers", s.value)
		if addr, err := netip.ParseAddrPort(s.value); err != nil || !addr.Addr().IsLoopback() {
			r.note(s, "postfix-tlspol believes the AD bit of this resolver. Here dns.dane is auto, which does so only on this host: "+
				"set dns.dane: always if the resolver validates DNSSEC and the network to it is safe")
		}
	}
	r.noCounterpart(map[string]string{
		"server.cache-file": "policies are fetched again; they are kept in cache.file",
	})
	for _, s := range r.takeBelow("redis") {
		r.note(s, "policies are fetched again; they are kept in cache.file, and cache.shared is for several daemons")
	}
}
