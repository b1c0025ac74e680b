package doctor

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mta-sts-daemon/cmd/internal/admin"
	"mta-sts-daemon/config"
	"mta-sts-daemon/resolver/resolvertest"
	"mta-sts-daemon/socketmap"
)

// first puts tables before the daemon's, last puts them after it.
func first(tables string) func(*testing.T, *bed) {
	return func(_ *testing.T, b *bed) { b.main[policyMaps] = tables + ", " + b.main[policyMaps] }
}

func last(tables string) func(*testing.T, *bed) {
	return func(_ *testing.T, b *bed) { b.main[policyMaps] += " " + tables }
}

// The remedy is a list with the tables that can be used, in their order, and the daemon.
func TestRemedyOfMaps(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ maps, version, want string }{
		{"", "3.7.11", "postconf -e smtp_tls_policy_maps=socketmap:inet:OURS:postfix; postfix reload"},
		{"", "3.10.13", "postconf -e smtp_tls_policy_maps=socketmap:inet:OURS:QUERYwithTLSRPT; postfix reload"},
		{"inline:{a.test=may}", "3.7.11", "postconf -e 'smtp_tls_policy_maps=inline:{a.test=may} socketmap:inet:OURS:postfix'; postfix reload"},
		{"inline:{a.test='may'} tcp:127.0.0.1:1 socketmap:inet:OURS:x static:may", "3.7.11",
			`postconf -e 'smtp_tls_policy_maps=inline:{a.test='\''may'\''} socketmap:inet:OURS:x static:may'; postfix reload (or `},
		{"static:may hash:/nowhere x socketmap:inet:OURS:x", "3.7.11", "postconf -e 'smtp_tls_policy_maps=hash:/nowhere socketmap:inet:OURS:x'; postfix reload"},
		{"inline:{a.test=may} socketmap:inet:OURS:QUERYwithTLSRPT", "3.7.11",
			"postconf -e 'smtp_tls_policy_maps=inline:{a.test=may} socketmap:inet:OURS:postfix'; postfix reload"},
		{"inline:{a.test=may} socketmap:inet:OURS:postfix", "3.11.7",
			"postconf -e 'smtp_tls_policy_maps=inline:{a.test=may} socketmap:inet:OURS:QUERYwithTLSRPT'; postfix reload"},
	} {
		b := newBed(t)
		expand := strings.NewReplacer("OURS", b.asked().Address).Replace
		b.main[policyMaps], b.main[mailVersion] = expand(tt.maps), tt.version
		if strings.HasPrefix(tt.version, "3.1") {
			b.main[enforceSTSPatterns] = yes
		}
		var got []string
		for _, f := range b.examine(t).Findings {
			if f.Check == checkPolicyMaps || f.Check == checkMapName || f.Check == checkAnswers {
				got = append(got, f.Remedy)
			}
		}
		if !slices.ContainsFunc(got, func(remedy string) bool { return strings.HasPrefix(remedy, expand(tt.want)) }) {
			t.Errorf("%s: remedies %q, want %s", tt.maps, got, expand(tt.want))
		}
	}
}

func TestPolicyMaps(t *testing.T) {
	t.Parallel()
	examineAll(t, []sick{
		{"none", set(policyMaps, ""), checkPolicyMaps, Problem, "is empty", nil},
		{"none for one service", func(_ *testing.T, b *bed) {
			b.overrides += "relay/unix/smtp_tls_policy_maps =\n"
		}, checkPolicyMaps, Hint, "master.cf sets smtp_tls_policy_maps to nothing", []string{"relay"}},
		{"another one", set(policyMaps, "inline:{x.test=may}"), checkPolicyMaps, Problem, "names no address of the daemon", nil},
		{"a port where nobody listens", func(t *testing.T, b *bed) {
			b.main[policyMaps] = "socketmap:inet:" + unused(t) + ":postfix"
		}, checkAnswers, Problem, "Nobody answers at 127.0.0.1", nil},
		{"nobody listens, before the daemon", func(t *testing.T, b *bed) {
			first("socketmap:inet:"+unused(t)+":x")(t, b)
		}, checkAnswers, Problem, "so mail to every domain is deferred", nil},
		{"nobody listens, after the daemon", func(t *testing.T, b *bed) {
			last("tcp:"+unused(t))(t, b)
		}, checkAnswers, Problem, "so mail to every domain that the daemon has no policy for is deferred", nil},
		{"other servers", func(t *testing.T, b *bed) {
			last("tcp:"+serve(t, socketmap.TCPTable("everything"), "tcp", "127.0.0.1:0"))(t, b)
			last("socketmap:inet:"+listen(t, "tcp", "127.0.0.1:0")+":everything")(t, b)
		}, checkAnswers, OK, "answers", nil},
		{"nobody is asked after static", last("static:may tcp:127.0.0.1:1"), checkAnswers, OK, "answers", nil},
		{"another daemon", func(t *testing.T, b *bed) {
			b.main[policyMaps] = "socketmap:inet:" + listen(t, "tcp", "127.0.0.1:0") + ":postfix"
		}, checkPolicyMaps, Hint, "does not listen there", nil},
		{"database not made, after the daemon", last("hash:/nowhere/tls"), checkPolicyMaps, Problem, "so mail to every domain that the daemon has no policy for", nil},
		{"malformed", first("socketmap:inet:127.0.0.1:8461"), checkPolicyMaps, Problem, "is not how such a table is written", nil},
		{"no type", first("/etc/postfix/tls_policy"), checkPolicyMaps, Problem, "is not how such a table is written", nil},
		{"database not made", first("hash:/nowhere/tls"), checkPolicyMaps, Problem, "there is no /nowhere/tls.db", nil},
		{"shadowed", first("static:may"), checkPolicyMaps, Problem, "for every domain before the daemon", nil},
		{"shadowed in part", first("inline:{ x.test=may, y.test=none }"), checkPolicyMaps, Hint, "inline:{ x.test=may, y.test=none } is asked before", nil},
		{"database", func(t *testing.T, b *bed) {
			b.write(t, "tls.db", "")
			first("hash:"+filepath.Join(b.dir, "tls"))(t, b)
		}, checkPolicyMaps, Hint, "is asked before the daemon", nil},
		{"by proxymap", func(t *testing.T, b *bed) { b.main[policyMaps] = "proxy:" + b.main[policyMaps] },
			checkAnswers, OK, "proxy:socketmap:inet:127.0.0.1", nil},
		{"by proxymap, which has it", func(t *testing.T, b *bed) {
			b.main[policyMaps] = "proxy:" + b.main[policyMaps]
			b.main[proxyReadMaps] = "hash:/a, " + b.main[policyMaps]
		}, checkAnswers, OK, "proxy:socketmap:inet:127.0.0.1", nil},
		{"by proxymap, which refuses it", func(t *testing.T, b *bed) {
			b.main[proxyReadMaps] = b.main[policyMaps]
			b.main[policyMaps] = "proxy:" + b.main[policyMaps]
		}, checkPolicyMaps, Problem, "the proxymap service refuses it", nil},
		{"by proxymap, which refuses it for one service", func(t *testing.T, b *bed) {
			b.main[proxyReadMaps] = ""
			b.overrides += "relay/unix/smtp_tls_policy_maps = proxy:" + b.main[policyMaps] + "\n"
		}, checkPolicyMaps, Problem, "the proxymap service refuses it", []string{"relay"}},
		{"by proxymap with its own list", func(t *testing.T, b *bed) {
			b.main[proxyReadMaps] = ""
			b.main[policyMaps] = "proxy:" + b.main[policyMaps]
			b.overrides += "proxymap/unix/proxy_read_maps = " + b.main[policyMaps] + "\n"
		}, checkAnswers, OK, "proxy:", nil},
		{"no proxymap", func(t *testing.T, b *bed) {
			b.main[policyMaps] = "proxy:" + b.main[policyMaps]
			b.masterCF = strings.ReplaceAll(b.masterCF, "= proxymap", "= other")
			b.masterCF = strings.ReplaceAll(b.masterCF, "proxymap/", "other/")
		}, checkPolicyMaps, Problem, "refuses it", nil},
	})
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	examineAll(t, []sick{
		{"daemon", func(t *testing.T, b *bed) {
			b.main[policyMaps] = "socketmap:inet:" + unused(t) + ":postfix"
			b.Config.Listen.Socketmap = []config.Address{b.asked()}
		}, checkAnswers, Problem, "Nobody answers at 127.0.0.1", nil},
		{"address of the socket unit", func(_ *testing.T, b *bed) {
			b.Daemon = daemon{status: admin.Status{Socketmap: b.Config.Listen.Socketmap}}
			b.Config.Listen.Socketmap = config.Default().Listen.Socketmap
		}, checkAnswers, OK, "socketmap:inet:127.0.0.1", nil},
		{"tcp of a socket unit", func(t *testing.T, b *bed) {
			b.main[policyMaps] = "tcp:" + serve(t, socketmap.TCPTable(""), "tcp", "127.0.0.1:0")
			b.Daemon = daemon{status: admin.Status{TCPTable: []config.TCPTable{{Address: b.asked()}}}}
		}, checkAnswers, OK, "tcp:127.0.0.1", nil},
		{"replaced by the socket unit", func(t *testing.T, b *bed) {
			b.Daemon = daemon{status: admin.Status{Socketmap: []config.Address{{Network: config.Unix, Address: "/run/sock"}}}}
		}, checkPolicyMaps, Hint, "does not listen there", nil},
		{"somebody else", func(_ *testing.T, b *bed) {
			b.main[policyMaps] = strings.Replace(b.main[policyMaps], ":postfix", ":everything", 1)
		}, checkAnswers, Problem, `the reply to a name that is no domain is OK "may", so mail to every domain is deferred`, nil},
		{"localhost", func(t *testing.T, b *bed) {
			needLocalhost(t)
			b.main[policyMaps] = strings.Replace(b.main[policyMaps], "127.0.0.1", "localhost", 1)
		}, checkAnswers, OK, "inet:localhost", nil},
		{"localhost unknown in the chroot", func(t *testing.T, b *bed) {
			needLocalhost(t)
			b.write(t, "queue/etc/hosts", "")
			b.main[policyMaps] = strings.Replace(b.main[policyMaps], "127.0.0.1", "localhost", 1)
		}, checkAnswers, Hint, "does not have localhost", nil},
		{"tcp", func(t *testing.T, b *bed) {
			b.main[policyMaps] = "tcp:" + serve(t, socketmap.TCPTable(""), "tcp", "127.0.0.1:0")
			b.Config.Listen.TCPTable = []config.TCPTable{{Address: b.asked()}}
		}, checkAnswers, OK, "tcp:127.0.0.1", nil},
		{"tcp with everything", func(t *testing.T, b *bed) {
			b.main[policyMaps] = "tcp:" + serve(t, socketmap.TCPTable("everything"), "tcp", "127.0.0.1:0")
			b.Config.Listen.TCPTable = []config.TCPTable{{Address: b.asked()}}
		}, checkAnswers, Problem, `is OK "may"`, nil},
		{"tcp with attributes", func(t *testing.T, b *bed) {
			b.main[policyMaps] = "tcp:" + serve(t, socketmap.TCPTable("tlsrpt"), "tcp", "127.0.0.1:0")
			b.Config.Listen.TCPTable = []config.TCPTable{{Address: b.asked(), Map: "tlsrpt"}}
		}, checkMapName, Problem, "does not know", nil},
	})
}

// withSocket has the daemon listen at a path below the bed's directory, and
// main.cf name another or the same.
func withSocket(at, named string) func(*testing.T, *bed) {
	return func(t *testing.T, b *bed) {
		path := filepath.Join(b.dir, at)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		b.Config.Listen.Socketmap = []config.Address{{Network: config.Unix, Address: listen(t, "unix", path)}}
		b.main[policyMaps] = "socketmap:unix:" + strings.Replace(named, "DIR", b.dir, 1) + ":postfix"
	}
}

func TestUnixSocket(t *testing.T) {
	t.Parallel()
	const usual = "queue/mta-sts/sock"
	both := func(changes ...func(*testing.T, *bed)) func(*testing.T, *bed) {
		return func(t *testing.T, b *bed) {
			for _, change := range changes {
				change(t, b)
			}
		}
	}
	freed := func(_ *testing.T, b *bed) { b.masterCF = strings.ReplaceAll(b.masterCF, "= y", "= -") }
	examineAll(t, []sick{
		{"usual", withSocket(usual, "mta-sts/sock"), checkAnswers, OK, "unix:mta-sts/sock", nil},
		{"no jail", both(withSocket(usual, "mta-sts/sock"), freed), checkAnswers, OK, "unix:mta-sts/sock", nil},
		{"seen from the jail", withSocket(usual, "/mta-sts/sock"), checkAnswers, OK, "unix:/mta-sts/sock", nil},
		{"outside", withSocket("sock", "DIR/sock"), checkAnswers, Problem, "runs in the chroot", nil},
		{"outside without jail", both(withSocket("sock", "DIR/sock"), freed), checkAnswers, OK, "/sock", nil},
		{"old default jail", both(withSocket("sock", "DIR/sock"), freed, set(compatibilityLevel, "0")), checkAnswers, Problem, "runs in the chroot", nil},
		{"outside by proxymap", func(t *testing.T, b *bed) {
			withSocket("sock", "DIR/sock")(t, b)
			b.main[policyMaps] = "proxy:" + b.main[policyMaps]
		}, checkAnswers, OK, "proxy:", nil},
		{"none", func(t *testing.T, b *bed) {
			withSocket(usual, "mta-sts/sock")(t, b)
			if err := os.Remove(filepath.Join(b.dir, usual)); err != nil {
				t.Fatal(err)
			}
			b.write(t, usual+".gone", "") // or the listener has nothing to unlink
		}, checkAnswers, Problem, "There is no", nil},
		{"a file", func(t *testing.T, b *bed) {
			withSocket("sock", "mta-sts/sock")(t, b)
			b.write(t, usual, "")
			b.Config.Listen.Socketmap[0].Address = filepath.Join(b.dir, usual)
		}, checkAnswers, Problem, "is no socket", nil},
		{"not for Postfix", both(withSocket(usual, "mta-sts/sock"), set(mailOwner, "daemon"), func(t *testing.T, b *bed) {
			if err := os.Chmod(filepath.Join(b.dir, usual), 0o600); err != nil {
				t.Fatal(err)
			}
		}), checkAnswers, Problem, "does not let the user daemon", nil},
		{"directory not for Postfix", both(withSocket(usual, "mta-sts/sock"), set(mailOwner, "daemon"), func(t *testing.T, b *bed) {
			if err := os.Chmod(filepath.Join(b.dir, filepath.Dir(usual)), 0o700); err != nil {
				t.Fatal(err)
			}
		}), checkAnswers, Problem, "/mta-sts does not let", nil},
		{"no such user", both(withSocket(usual, "mta-sts/sock"), set(mailOwner, "no-such-user")), checkAnswers, Unknown, "unknown user no-such-user", nil},
	})
}

func TestSuggestion(t *testing.T) {
	t.Parallel()
	c := client{postfix: postfix{main: map[string]string{queueDirectory: "/var/spool/postfix"}}}
	for _, tt := range []struct {
		listens config.Address
		want    string
	}{
		{config.Address{Network: config.TCP, Address: "127.0.0.1:9000"}, "socketmap:inet:127.0.0.1:9000:postfix"},
		{config.Address{Network: config.TCP, Address: ":9000"}, "socketmap:inet:127.0.0.1:9000:postfix"},
		{config.Address{Network: config.TCP, Address: "[::1]:9000"}, "socketmap:inet:[::1]:9000:postfix"},
		{config.Address{Network: config.Unix, Address: "/var/spool/postfix/a/b"}, "socketmap:unix:a/b:postfix"},
		{config.Address{Network: config.Unix, Address: "/run/a"}, "socketmap:unix:/run/a:postfix"},
		{config.Address{}, "socketmap:inet:127.0.0.1:8461:postfix"},
	} {
		var h Host
		if !tt.listens.IsZero() {
			h.Config.Listen.Socketmap = []config.Address{tt.listens}
		}
		if got := h.suggestion(c); got != tt.want {
			t.Errorf("%v: got %s", tt.listens, got)
		}
	}
}

func needLocalhost(t *testing.T) {
	t.Helper()
	if !resolvertest.KnowsLocalhost(t) {
		t.Skip("left out: this host does not know the name localhost")
	}
}
