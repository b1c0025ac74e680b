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
		{"mode", `enforce answers Postfix with the policies that are found. monitor always answers
			NOTFOUND and logs the answer that enforce would give.`,
			wordOf(wordsOf(ModeEnforce, ModeMonitor)).at(&c.Mode)},
		// Postfix gives a map up after 100 s.
		{"answer_timeout", `How long a first answer may take. The search goes on in the background, and the
			next lookup gets its result.`,
			duration(10*time.Millisecond, 90*time.Second).at(&c.AnswerTimeout)},
		{"listen", `Where Postfix finds the daemon. Sockets that systemd passes take the place of these
			addresses.`,
			needsRestart{listenSection(&c.Listen)}},
		{"maps", `How to answer a socketmap name; those that are not listed are answered plainly. With
			tlsrpt, Postfix 3.10 and later reports (RFC 8460), and from 3.10.5 on checks the names of MX
			hosts itself; Postfix before 3.10 defers the mail. The file adds to the default.`,
			table[string, Map]{&c.Maps, mapName, mapAt}},
		{"testing", `How to answer for a policy of mode testing. ignore: as without a policy, as RFC 8461
			requires; enforce: as for a policy of mode enforce.`,
			wordOf(wordsOf(TestingIgnore, TestingEnforce)).at(&c.Testing)},
		{"overrides", `Answers of your own, before anything else: notfound, or a line as in Postfix's TLS
			policy table. ".example.com" stands for every name below example.com, "[host]:587" for one
			next hop; the most exact key counts. With until, an answer ends by itself: at the beginning
			of that day in UTC, or at a time such as 2026-12-01T08:00:00Z.

			  overrides:
			    partner.example: "secure match=mx.partner.example servername=hostname"
			    broken.example: {answer: notfound, until: 2026-12-01}
			    "[smtp.relay.example]:587": encrypt`,
			table[OverrideKey, Override]{&c.Overrides, overrideKey, overrideAt}},
		{"dns", "", dnsSection(&c.DNS)},
		{"fetch", "", fetchSection(&c.Fetch)},
		{"cache", "", cacheSection(&c.Cache)},
		{"refresh", `A policy in use is fetched again although its id has not changed, because many
			publishers forget the id.`,
			refreshSection(&c.Refresh)},
		{"recheck_wait", `How long a lookup waits for the check whether a known policy is still current.`,
			duration(time.Millisecond, 10*time.Second).at(&c.RecheckWait)},
		{"admin", "", section{
			{"socket", `The control socket, which the commands use to talk to the daemon. Empty: admin.sock in
				systemd's runtime directory, else in the user's, else in the user's state directory.`,
				optional(path(maxSocketPath)).at(&c.Admin.Socket)},
		}},
		{"metrics", "", section{
			{"listen", `Where /metrics, /healthz and /readyz are served, 127.0.0.1:9461 for example. Empty:
				nowhere.`,
				optional(address).at(&c.Metrics.Listen)},
			{"page", `Whether the status page is served there too, at /. It names domains, so the address
				should be one that only operators can reach.`,
				boolean.at(&c.Metrics.Page)},
		}},
		{"tlsrpt", "", section{
			{"socket", `The datagram socket of this host's TLSRPT collector, as in Postfix's
				smtp_tlsrpt_socket_name: an absolute path, or one relative to Postfix's queue_directory.
				Lookups that go without a policy because the domain's announced one cannot be fetched are
				reported there. Empty: nowhere.`,
				optional(collectorSocket).at(&c.TLSRPT.Socket)},
		}},
		{"log", "", section{
			{"level", `The least level that is logged. At debug there is a line for each lookup.`,
				wordOf(wordsOf(LogDebug, LogInfo, LogNotice, LogWarning, LogError)).at(&c.Log.Level)},
			{"format", `auto is the journal's own under systemd, else text. Text goes to standard error, json to
				standard output.`,
				wordOf(wordsOf(LogAuto, LogText, LogJSON)).at(&c.Log.Format)},
		}},
	}
}

func listenSection(l *Listen) section {
	return section{
		{"socketmap", `Addresses that speak socketmap_table(5).`,
			list[Address]{&l.Socketmap, address.at}},
		{"tcp_table", `Addresses that speak tcp_table(5), which has no map names: map says as which name
			to answer.`,
			list[TCPTable]{&l.TCPTable, tcpTableAt}},
		{"socket_mode", `The mode of the unix sockets that the daemon makes. The user postfix has to be
			allowed to write.`,
			socketMode.at(&l.SocketMode)},
		{"socket_group", `The group of these sockets. Empty: the daemon's own.`,
			optional(group).at(&l.SocketGroup)},
		{"max_connections", `All listeners together; a silent connection, or the one idle longest, makes room for a new one.`,
			count(1, 100_000).at(&l.MaxConnections)},
		{"idle_timeout", `How long a socketmap connection may be idle. Those of tcp_table have no limit.`,
			duration(time.Second, 24*time.Hour).at(&l.IdleTimeout)},
	}
}

func mapAt(m *Map) field {
	return section{{"tlsrpt", "", boolean.at(&m.TLSRPT)}}
}

func dnsSection(d *DNS) section {
	return section{
		{"servers", `The resolvers to ask, with failover. A name is looked up through /etc/resolv.conf, as it
			stands, at a start, at a reload, and when no server answers. None: those of /etc/resolv.conf,
			followed as it changes.`,
			list[Server]{&d.Servers, server.at}},
		{"timeout", `How long one question may take, over every server and try.`,
			duration(10*time.Millisecond, time.Minute).at(&d.Timeout)},
		{"dane", `When DANE takes precedence over MTA-STS. auto: if this host's Postfix does DANE; always
			needs resolvers that validate DNSSEC, and counts the AD bit of each.`,
			wordOf(wordsOf(DANEAuto, DANEAlways, DANEOff)).at(&d.DANE)},
	}
}

func fetchSection(f *Fetch) section {
	return section{
		{"timeout", `How long the fetch of a policy may take in all.`,
			duration(10*time.Millisecond, 5*time.Minute).at(&f.Timeout)},
		{"ca_file", `A PEM file of the authorities to trust in place of the system's. Empty: the system's. They are read again at a reload and every day.`,
			optional(path(math.MaxInt)).at(&f.CAFile)},
		{"proxy", `A proxy that takes CONNECT, http://proxy.example:3128 for example. Empty: none.`,
			optional(proxy).at(&f.Proxy)},
		{"allow_networks", `Networks that are not public in which policy hosts are allowed.`,
			list[netip.Prefix]{&f.AllowNetworks, network.at}},
	}
}

func cacheSection(c *Cache) section {
	return section{
		{"file", `Where policies are kept. Empty: policies.db in systemd's state directory, else in the
			user's; off: memory alone, so that a restart forgets them.`,
			needsRestart{optional(cacheFile).at(&c.File)}},
		{"entries", `Domains with a policy in memory. The file holds all policies.`,
			count(1, 10_000_000).at(&c.Entries)},
		{"negative_entries", `Domains without a policy in memory.`,
			count(1, 10_000_000).at(&c.NegativeEntries)},
		{"shared", `Policies that several daemons share, on Valkey or Redis: each policy is discovered
			once for all of them, and a purge reaches every daemon. Each daemon's file stays its own
			authority. If the servers do not answer, the daemon works without them.`,
			needsRestart{sharedSection(&c.Shared)}},
	}
}

func sharedSection(s *Shared) section {
	return section{
		{"url", `Where the servers are: redis://user@one:6379, redis+cluster://user@one:6379?addr=two:6379
			or redis+sentinel://user@one:26379?addr=two:26379&master=name, with rediss for TLS. Empty:
			nothing is shared.`,
			optional(sharedURL).at(&s.URL)},
		{"password_file", `A file with the password, which stays out of this one. Empty: none, or the URL's.`,
			optional(path(math.MaxInt)).at(&s.PasswordFile)},
		{"ca_file", `A PEM file of the authorities that servers are verified against. Empty: the system's.`,
			optional(path(math.MaxInt)).at(&s.CAFile)},
		{"key_file", `A file with the key that all these daemons share, made by "openssl rand -hex 32".
			Values that were not written with the key are ignored. Empty: anybody who can write to the
			servers can change policies.`,
			optional(path(math.MaxInt)).at(&s.KeyFile)},
		{"prefix", `The prefix of the names of keys and channel on the servers.`,
			prefix.at(&s.Prefix)},
		{"timeout", `How long a lookup waits for the servers at most.`,
			duration(time.Millisecond, 10*time.Second).at(&s.Timeout)},
	}
}

func refreshSection(r *Refresh) section {
	return section{
		// RFC 8461 section 3.3 asks for five minutes between attempts.
		{"interval", `The age at which that is done; half of the policy's max_age if that is shorter.`,
			duration(5*time.Minute, longestAge).at(&r.Interval)},
		{"idle", `How long after the last lookup of its domain a policy counts as in use.`,
			duration(time.Hour, longestAge).at(&r.Idle)},
		{"concurrency", `How many at once.`,
			count(1, 1000).at(&r.Concurrency)},
	}
}
