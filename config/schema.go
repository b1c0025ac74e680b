package config

import (
	"math"
	"net/netip"
	"time"
)

// longestAge is the longest max_age that RFC 8461 section 3.2 allows; a longer
// time has no effect.
const longestAge = 31557600 * time.Second

// schema connects every key of the file with its place in c and documents it. The
// manual page and the example file are generated from it.
func schema(c *Config) section {
	return section{
		{"mode", `With enforce, Postfix gets the answers. With monitor it gets "not found" for every
			domain; the log (at level debug) and the commands show what enforce would answer.`,
			wordOf(wordsOf(ModeEnforce, ModeMonitor)).at(&c.Mode)},
		// Postfix gives a map up after 100 s.
		{"answer_timeout", `How long Postfix waits at most for the first answer about a domain. After that it gets
			"not found", or a temporary error if DANE is not known yet. The daemon continues to
			look, and later lookups get the result.`,
			duration(10*time.Millisecond, 90*time.Second).at(&c.AnswerTimeout)},
		{"listen", `The addresses at which Postfix asks. If systemd passes sockets to the daemon, they are
			used instead of these addresses.`,
			needsRestart{listenSection(&c.Listen)}},
		{"maps", `The form of the answer for each map name of a socketmap. With tlsrpt: true the answer
			has report attributes: Postfix 3.10 and later names the policy in TLS reports (RFC
			8460), and 3.10.5 and later also checks the names of MX hosts. Postfix before 3.10
			defers mail if it gets them. With max_answer above 0, an answer of more bytes is
			replaced by a temporary error: Sendmail sends mail in clear if an answer is too long.
			Map names that are not listed get the plain answer. Entries are added to the default
			one.`,
			table[string, Map]{&c.Maps, mapName, mapAt}},
		{"testing", `How to treat policies of mode testing. ignore: they have no effect on mail, as RFC 8461
			requires. enforce: as policies of mode enforce.`,
			wordOf(wordsOf(TestingIgnore, TestingEnforce)).at(&c.Testing)},
		{"overrides", `Your own answers, which replace those of the daemon: notfound, or a line as in Postfix's
			TLS policy table. ".example.com" is every name below example.com, "[host]:587" is one
			next hop; the most exact key is used. An answer with until ends by itself: at the
			beginning of that day in UTC, or at a time such as 2026-12-01T08:00:00Z.

			  overrides:
			    partner.example: "secure match=mx.partner.example servername=hostname"
			    broken.example: {answer: notfound, until: 2026-12-01}
			    "[smtp.relay.example]:587": encrypt`,
			table[OverrideKey, Override]{&c.Overrides, overrideKey, overrideAt}},
		{"dns", "", dnsSection(&c.DNS)},
		{"fetch", "", fetchSection(&c.Fetch)},
		{"cache", "", cacheSection(&c.Cache)},
		{"refresh", `Many publishers change a policy without changing its id. So the policies of domains in
			use are fetched again by schedule.`,
			refreshSection(&c.Refresh)},
		{"recheck_wait", `A known policy may have been changed. When the TTL of its record has passed, the next
			lookup asks for the record again and waits this long for the result; then the known
			policy is the answer.`,
			duration(time.Millisecond, 10*time.Second).at(&c.RecheckWait)},
		{"admin", "", section{
			{"socket", `The control socket, on which commands ask the daemon. Empty: admin.sock in the runtime
			directory that systemd made, else in the user's runtime directory, else in the user's
			state directory.`,
				optional(path(maxSocketPath)).at(&c.Admin.Socket)},
		}},
		{"metrics", "", section{
			{"listen", `The address that serves /metrics, /healthz and /readyz, for example 127.0.0.1:9461.
			Empty: none.`,
				optional(address).at(&c.Metrics.Listen)},
			{"page", `Serve the status page too, at / of metrics.listen. The page names domains, so only
			operators should be able to reach the address.`,
				boolean.at(&c.Metrics.Page)},
		}},
		{"tlsrpt", "", section{
			{"socket", `The datagram socket of this host's TLSRPT collector, as in Postfix's
			smtp_tlsrpt_socket_name: an absolute path, or one relative to Postfix's queue_directory.
			The daemon reports there each domain that announces a policy that cannot be fetched or
			used, when mail to it is sent without a policy. Empty: no reports.`,
				optional(collectorSocket).at(&c.TLSRPT.Socket)},
		}},
		{"log", "", section{
			{"level", `The lowest level that is logged. At debug there is a line for each lookup.`,
				wordOf(wordsOf(LogDebug, LogInfo, LogNotice, LogWarning, LogError)).at(&c.Log.Level)},
			{"format", `auto: the journal's own format under systemd, else text. text goes to standard error,
			json to standard output.`,
				wordOf(wordsOf(LogAuto, LogText, LogJSON)).at(&c.Log.Format)},
		}},
	}
}

func listenSection(l *Listen) section {
	return section{
		{"socketmap", `Addresses for socketmap_table(5).`,
			list[Address]{&l.Socketmap, address.at}},
		{"tcp_table", `Addresses for tcp_table(5). This protocol has no map names: map sets the one to use.`,
			list[TCPTable]{&l.TCPTable, tcpTableAt}},
		{"socket_mode", `The file mode of the unix sockets that the daemon makes. The user postfix needs write
			permission.`,
			socketMode.at(&l.SocketMode)},
		{"socket_group", `The group of these unix sockets. Empty: the daemon's group.`,
			optional(group).at(&l.SocketGroup)},
		{"max_connections", `The limit for all listeners together. At the limit a new connection closes another one:
			a silent one, else the one that is idle longest.`,
			count(1, 100_000).at(&l.MaxConnections)},
		{"idle_timeout", `A socketmap connection that is idle for longer is closed. tcp_table connections have no
			limit.`,
			duration(time.Second, 24*time.Hour).at(&l.IdleTimeout)},
	}
}

func mapAt(m *Map) field {
	return section{
		{"tlsrpt", "", boolean.at(&m.TLSRPT)},
		{"max_answer", "", count(0, 100_000).at(&m.MaxAnswer)},
	}
}

func dnsSection(d *DNS) section {
	return section{
		{"servers", `The DNS servers to ask. If one does not answer, the next one is asked. The address of a
			server given by name is looked up with the servers in /etc/resolv.conf at a start, at a
			reload, and when no server answers. Empty: the servers in /etc/resolv.conf, which is
			read again when it changes.`,
			list[Server]{&d.Servers, server.at}},
		{"timeout", `The limit for one DNS question, all servers and attempts together.`,
			duration(10*time.Millisecond, time.Minute).at(&d.Timeout)},
		{"dane", `When DANE takes precedence over MTA-STS. auto: if Postfix on this host does DANE.
			always: always; this needs servers that validate DNSSEC, because the AD bit in their
			answers is believed.`,
			wordOf(wordsOf(DANEAuto, DANEAlways, DANEOff)).at(&d.DANE)},
	}
}

func fetchSection(f *Fetch) section {
	return section{
		{"timeout", `The limit for fetching one policy.`,
			duration(10*time.Millisecond, 5*time.Minute).at(&f.Timeout)},
		{"ca_file", `A PEM file with the certificate authorities for policy hosts. Empty: those of the
			system. They are read again at a reload and every day.`,
			optional(path(math.MaxInt)).at(&f.CAFile)},
		{"proxy", `An HTTP proxy with CONNECT for fetching policies, for example http://proxy.example:3128.
			Empty: none.`,
			optional(proxy).at(&f.Proxy)},
		{"allow_networks", `Policy hosts must have public addresses. Addresses in these networks are allowed too.`,
			list[netip.Prefix]{&f.AllowNetworks, network.at}},
	}
}

func cacheSection(c *Cache) section {
	return section{
		{"file", `The policy file. Empty: policies.db in the state directory that systemd made, else in
			the user's state directory. off: no file; a restart loses all policies.`,
			needsRestart{optional(cacheFile).at(&c.File)}},
		{"entries", `How many policies are kept in memory. The file keeps all.`,
			count(1, 10_000_000).at(&c.Entries)},
		{"negative_entries", `How many domains without a policy are kept in memory.`,
			count(1, 10_000_000).at(&c.NegativeEntries)},
		{"shared", `A Valkey or Redis server, or several, through which many daemons share their policies: a
			policy is fetched once for all of them, and a purge applies to all. If the servers fail,
			each daemon works alone with its policy file.`,
			needsRestart{sharedSection(&c.Shared)}},
	}
}

func sharedSection(s *Shared) section {
	return section{
		{"url", `The URL of the servers: redis://user@one:6379,
			redis+cluster://user@one:6379?addr=two:6379 or
			redis+sentinel://user@one:26379?addr=two:26379&master=name. For TLS write rediss in
			place of redis. Empty: nothing is shared.`,
			optional(sharedURL).at(&s.URL)},
		{"password_file", `A file with the password. Empty: no password, or the one in the URL.`,
			optional(path(math.MaxInt)).at(&s.PasswordFile)},
		{"ca_file", `A PEM file with the certificate authorities for the servers. Empty: those of the system.`,
			optional(path(math.MaxInt)).at(&s.CAFile)},
		{"key_file", `A file with a key, the same on all nodes; "openssl rand -hex 32" makes one. Entries that
			were not written with the key are ignored. Empty: entries are not protected: anybody who
			can write to the servers can change policies.`,
			optional(path(math.MaxInt)).at(&s.KeyFile)},
		{"prefix", `The first part of the names of all keys and of the channel on the servers.`,
			prefix.at(&s.Prefix)},
		{"timeout", `How long a lookup waits for the servers.`,
			duration(time.Millisecond, 10*time.Second).at(&s.Timeout)},
	}
}

func refreshSection(r *Refresh) section {
	return section{
		// RFC 8461 section 3.3 asks for five minutes between attempts.
		{"interval", `A policy is fetched again at this age, or at half its max_age if that is shorter.`,
			duration(5*time.Minute, longestAge).at(&r.Interval)},
		{"idle", `A domain is in use if its last lookup is not older than this.`,
			duration(time.Hour, longestAge).at(&r.Idle)},
		{"concurrency", `How many policies are fetched at the same time at most.`,
			count(1, 1000).at(&r.Concurrency)},
	}
}
