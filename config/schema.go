package config

import (
	"math"
	"net/netip"
	"time"

	"gopkg.in/yaml.v3"
)

// longestAge is the max_age above which RFC 8461 section 3.2 allows none; to
// look further ahead is of no use.
const longestAge = 31557600 * time.Second

// schema binds every key of the file to its place in c.
func schema(c *Config) section {
	return section{
		{"mode", wordOf(wordsOf(ModeEnforce, ModeMonitor)).at(&c.Mode)},
		// Postfix gives a map up after 100 s.
		{"answer_timeout", duration(10*time.Millisecond, 90*time.Second).at(&c.AnswerTimeout)},
		{"listen", section{
			{"socketmap", list[Address]{&c.Listen.Socketmap, address.at}},
			{"tcp_table", list[TCPTable]{&c.Listen.TCPTable, tcpTableAt}},
			{"socket_mode", socketMode.at(&c.Listen.SocketMode)},
			{"socket_group", optional(group).at(&c.Listen.SocketGroup)},
			{"max_connections", count(1, 100_000).at(&c.Listen.MaxConnections)},
			{"idle_timeout", duration(time.Second, 24*time.Hour).at(&c.Listen.IdleTimeout)},
		}},
		{"maps", table[string, Map]{&c.Maps, mapName, mapAt}},
		{"testing", wordOf(wordsOf(TestingIgnore, TestingEnforce)).at(&c.Testing)},
		{"overrides", table[OverrideKey, Override]{&c.Overrides, overrideKey, override.at}},
		{"dns", section{
			{"servers", list[netip.AddrPort]{&c.DNS.Servers, server.at}},
			{"timeout", duration(10*time.Millisecond, time.Minute).at(&c.DNS.Timeout)},
			{"dane", wordOf(wordsOf(DANEAuto, DANEAlways, DANEOff)).at(&c.DNS.DANE)},
		}},
		{"fetch", section{
			{"timeout", duration(10*time.Millisecond, 5*time.Minute).at(&c.Fetch.Timeout)},
			{"ca_file", optional(path(math.MaxInt)).at(&c.Fetch.CAFile)},
			{"proxy", optional(proxy).at(&c.Fetch.Proxy)},
			{"allow_networks", list[netip.Prefix]{&c.Fetch.AllowNetworks, network.at}},
		}},
		{"cache", section{
			{"file", optional(cacheFile).at(&c.Cache.File)},
			{"entries", count(1, 10_000_000).at(&c.Cache.Entries)},
			{"negative_entries", count(1, 10_000_000).at(&c.Cache.NegativeEntries)},
		}},
		{"refresh", section{
			// RFC 8461 section 3.3 asks for five minutes between attempts.
			{"interval", duration(5*time.Minute, longestAge).at(&c.Refresh.Interval)},
			{"idle", duration(time.Hour, longestAge).at(&c.Refresh.Idle)},
			{"concurrency", count(1, 1000).at(&c.Refresh.Concurrency)},
		}},
		{"recheck_wait", duration(time.Millisecond, 10*time.Second).at(&c.RecheckWait)},
		{"admin", section{
			{"socket", optional(path(maxSocketPath)).at(&c.Admin.Socket)},
		}},
		{"metrics", section{
			{"listen", optional(address).at(&c.Metrics.Listen)},
		}},
		{"log", section{
			{"level", wordOf(levelWords()).at(&c.Log.Level)},
			{"format", wordOf(wordsOf(LogAuto, LogText, LogJSON)).at(&c.Log.Format)},
		}},
	}
}

func mapAt(m *Map) field {
	return section{{"tlsrpt", boolean.at(&m.TLSRPT)}}
}

func tcpTableAt(t *TCPTable) field {
	return tcpTable{address.at(&t.Address), section{
		{"address", address.at(&t.Address)},
		{"map", optional(mapName).at(&t.Map)},
	}, t}
}

// tcpTable is a listener's address alone, or a section with it.
type tcpTable struct {
	address field
	section section
	place   *TCPTable
}

func (t tcpTable) decode(r *report, key string, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		t.address.decode(r, key, n)
		return
	}
	before := len(r.errs)
	t.section.decode(r, key, n)
	if len(r.errs) == before && t.place.Address.IsZero() {
		r.fail(n.Line, key, "a listener without address")
	}
}

func (t tcpTable) check(r *report, key string) { t.section.check(r, key) }
