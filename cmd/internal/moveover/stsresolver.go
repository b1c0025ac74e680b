package moveover

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
)

var resolverSections = []string{
	"host", "port", "path", "mode", "reuse_port", "shutdown_timeout", "cache_grace", "cache",
	"proactive_policy_fetching", "default_zone", "zones",
}

// stsResolver translates a configuration of postfix-mta-sts-resolver (mta-sts-daemon.yml(5) there).
func stsResolver(r *reader) {
	host, hasHost := r.take("host")
	port, _ := r.take("port")
	if path, ok := r.take("path"); ok && path.value != "" {
		r.set(path, "listen.socketmap", "unix:"+path.value)
	} else {
		if !hasHost {
			host.value = "127.0.0.1"
		}
		where := host
		where.line = cmp.Or(host.line, port.line)
		r.set(where, "listen.socketmap", net.JoinHostPort(host.value, cmp.Or(port.value, "8461")))
	}
	if s, ok := r.take("mode"); ok {
		r.set(s, "listen.socket_mode", octal(s.value))
	}
	cacheOf(r)
	proactive(r)
	zones(r)
	r.noCounterpart(map[string]string{
		"reuse_port":       "one process answers all, on every core",
		"shutdown_timeout": "lookups under way at the end are answered, which takes answer_timeout and a second at most",
		"cache_grace":      "a known policy's record is asked again when the TTL of its TXT record has passed; recheck_wait says how long a lookup waits for that",
	})
}

func cacheOf(r *reader) {
	kind, _ := r.take("cache.type")
	if s, ok := r.take("cache.options.cache_size"); ok {
		r.set(s, "cache.entries", s.value)
	}
	options := r.takeBelow("cache.options")
	switch kind.value {
	case "", "internal":
		r.settings = append(r.settings, options...) // unknown
	case "sqlite":
		r.note(kind, "policies are fetched again; they are kept in cache.file")
	default:
		r.note(kind, "policies are fetched again; they are kept in cache.file. Several daemons share them with cache.shared, on Valkey or Redis")
	}
}

func proactive(r *reader) {
	const section = "proactive_policy_fetching."
	enabled, given := r.take(section + "enabled")
	if given && !isTrue(enabled.value) {
		r.note(enabled, "policies in use are always fetched again before they end; refresh.idle says for how long after the last lookup")
	}
	interval, hasInterval := r.take(section + "interval")
	limit, hasLimit := r.take(section + "concurrency_limit")
	if isTrue(enabled.value) {
		if hasInterval {
			r.set(interval, "refresh.interval", interval.value+"s")
		}
		if hasLimit {
			r.set(limit, "refresh.concurrency", limit.value)
		}
	}
	if s, ok := r.take(section + "grace_ratio"); ok {
		r.note(s, "a policy is fetched again at refresh.interval, or at half its max_age if that is less")
	}
}

// zones translates the settings of map names. Here a map name decides about report
// attributes alone.
func zones(r *reader) {
	strict, _ := r.take("default_zone.strict_testing")
	if isTrue(strict.value) {
		r.set(strict, "testing", "enforce")
	}
	reports, _ := r.take("default_zone.tlsrpt")
	if isTrue(reports.value) {
		r.set(reports, "maps", "{postfix: {tlsrpt: true}}")
		r.note(reports, "it holds there for each map name, here for those under maps: postfix is entered. Enter the name at the end of smtp_tls_policy_maps if it is another")
	}
	for _, s := range slices.Concat(takeOne(r, "default_zone.timeout"), takeOne(r, "default_zone.require_sni")) {
		zoneNote(r, s)
	}
	first := map[string]setting{} // of each zone
	judged := map[string]bool{}   // zones with strict_testing; it is false in others
	differs := func(s setting) {
		r.note(s, "no counterpart for its own strict_testing: testing is %s here for every map name. Two daemons can differ, each with a configuration of its own", r.c.Testing)
	}
	for _, s := range r.takeBelow("zones") {
		// A map name may have dots.
		i := strings.LastIndexByte(s.key, '.')
		name, key := strings.TrimPrefix(s.key[:i], "zones."), s.key[i+1:]
		if _, known := first[name]; !known {
			first[name] = s
		}
		switch {
		case key == "strict_testing":
			judged[name] = true
			if isTrue(s.value) != isTrue(strict.value) {
				differs(s)
			}
		case key == "tlsrpt" && i > len("zones"):
			r.set(s, "maps", fmt.Sprintf("{%q: {tlsrpt: %v}}", name, isTrue(s.value)))
		case key == "timeout", key == "require_sni":
			zoneNote(r, s)
		default:
			r.settings = append(r.settings, s)
		}
	}
	for name, s := range first {
		if isTrue(strict.value) && !judged[name] {
			differs(s)
		}
	}
}

func takeOne(r *reader, key string) []setting {
	if s, ok := r.take(key); ok {
		return []setting{s}
	}
	return nil
}

func zoneNote(r *reader, s setting) {
	switch {
	case strings.HasSuffix(s.key, ".timeout"):
		r.note(s, "a lookup waits for answer_timeout (8s) at most, and the search goes on behind it")
	case !isTrue(s.value):
		r.note(s, "every answer has servername=hostname, as RFC 8461 wants it: Postfix 3.4 or later")
	}
}

// octal writes a mode, which in YAML is octal only with a leading 0, in octal.
func octal(value string) string {
	mode, err := strconv.ParseUint(value, 0, 32)
	if err != nil {
		return value
	}
	return fmt.Sprintf("%04o", mode)
}
