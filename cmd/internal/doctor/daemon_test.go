package doctor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"mta-sts-daemon/cmd/internal/admin"
	"mta-sts-daemon/cmd/internal/layout"
	"mta-sts-daemon/config"
	"mta-sts-daemon/resolver/resolvertest"
)

func TestDaemon(t *testing.T) {
	t.Parallel()
	says := func(s admin.Status, err error) func(*testing.T, *bed) {
		return func(_ *testing.T, b *bed) { b.Daemon = daemon{status: s, err: err} }
	}
	systemctl := func(properties string) func(*testing.T, *bed) {
		return func(t *testing.T, b *bed) {
			b.Systemctl = b.program(t, "systemctl", "echo '"+properties+"'")
		}
	}
	examineAll(t, []sick{
		{"socket unit well", systemctl("UnitFileState=enabled\nActiveState=active\nResult=success"), checkDaemon, OK, "runs", nil},
		{"socket unit disabled", systemctl("UnitFileState=disabled\nActiveState=inactive\nResult=success"), checkDaemon, OK, "runs", nil},
		{"no socket unit", systemctl("UnitFileState=\nActiveState=inactive\nResult=success"), checkDaemon, OK, "runs", nil},
		{"no systemd", func(t *testing.T, b *bed) { b.Systemctl = b.program(t, "systemctl", "exit 1") }, checkDaemon, OK, "runs", nil},
		{"runs", says(admin.Status{Version: "1.2", Policies: 7}, nil), checkDaemon, OK, "version 1.2, runs and keeps 7 policies", nil},
		{"runs with one policy", says(admin.Status{Version: "1.2", Policies: 1}, nil), checkDaemon, OK, "runs and keeps 1 policy", nil},
		{"not running", says(admin.Status{}, fmt.Errorf("x: %w", admin.ErrNotRunning)), checkDaemon, Hint, "not running", nil},
		{"not permitted", says(admin.Status{}, fmt.Errorf("x: %w", admin.ErrNotPermitted)), checkDaemon, Unknown, "not yours", nil},
		{"hangs", says(admin.Status{}, fmt.Errorf("the daemon (pid 7) %w", admin.ErrSilent)), checkDaemon, Problem, "the daemon (pid 7) does not answer", nil},
		{"socket unit failed", systemctl("UnitFileState=enabled\nActiveState=failed\nResult=resources"), checkDaemon, Problem,
			"mta-sts-daemon.socket is enabled and failed (resources)", nil},
		{"socket unit stopped", systemctl("Result=success\nActiveState=inactive\nUnitFileState=enabled-runtime"), checkDaemon, Problem,
			"mta-sts-daemon.socket is enabled and inactive", nil},
		{"broken", says(admin.Status{}, errors.New("nonsense")), checkDaemon, Problem, "nonsense", nil},
		{"cannot write", says(admin.Status{StoreError: "disk full"}, nil), checkState, Problem, "disk full", nil},
		{"no way to policy hosts", says(admin.Status{Unreachable: "every fetch has failed"}, nil), checkDaemon, Problem, "every fetch has failed", nil},
		{"shared store away", says(admin.Status{SharedError: "connection refused"}, nil), checkDaemon, Hint, "connection refused", nil},
		{"authorities not read again", says(admin.Status{AuthoritiesError: "ca.pem: permission denied"}, nil), checkAuthorities, Hint, "ca.pem: permission denied", nil},
		{"no DNS for the daemon", says(admin.Status{DNSError: "no server answers"}, nil), checkResolver, Problem, "answers here, but not the daemon: no server answers", nil},
		{"reload refused", says(admin.Status{ConfigError: "config.yaml:3: no"}, nil), checkConfiguration, Hint, "config.yaml:3", nil},
		{"monitor", func(_ *testing.T, b *bed) { b.Config.Mode = config.ModeMonitor }, checkConfiguration, Hint, "monitor", nil},
		{"bad configuration", func(_ *testing.T, b *bed) { b.ConfigError = errors.New("config.yaml:3: x\nconfig.yaml:4: y") },
			checkConfiguration, Problem, "config.yaml:4: y", nil},
		{"configuration of others", func(_ *testing.T, b *bed) { b.ConfigError = fmt.Errorf("config.yaml: %w", fs.ErrPermission) },
			checkConfiguration, Unknown, "permission denied", nil},
		{"shared store without TLS", func(_ *testing.T, b *bed) {
			b.Config.Cache.Shared.URL, b.Config.Cache.Shared.CAFile = "redis://kv.example", b.main[caFile]
		}, checkConfiguration, Hint, "cache.shared.ca_file: has no effect", nil},
		{"the same in mode monitor", func(_ *testing.T, b *bed) {
			b.Config.Mode = config.ModeMonitor
			b.Config.Cache.Shared.URL, b.Config.Cache.Shared.CAFile = "redis://kv.example", b.main[caFile]
		}, checkConfiguration, Hint, "mode: monitor", nil},
		{"unreadable authority of the shared store", func(t *testing.T, b *bed) {
			b.write(t, "shared.pem", string(resolvertest.NewCA(t).PEM())+"-----BEGIN CERTIFICATE-----\n")
			b.Config.Cache.Shared.URL, b.Config.Cache.Shared.CAFile = "rediss://kv.example", filepath.Join(b.dir, "shared.pem")
		}, checkConfiguration, Hint, "shared.pem: certificate 2 cannot be read and is not used: malformed PEM; servers of the shared store", nil},
		{"no authorities of the daemon's", func(_ *testing.T, b *bed) { b.Config.Fetch.CAFile = "/nowhere/ca.pem" },
			checkConfiguration, Problem, "fetch.ca_file: open /nowhere/ca.pem", nil},
		{"unreadable authority", func(t *testing.T, b *bed) {
			b.write(t, "fetch.pem", string(resolvertest.NewCA(t).PEM())+"-----BEGIN CERTIFICATE-----\n")
			b.Config.Fetch.CAFile = filepath.Join(b.dir, "fetch.pem")
		}, checkAuthorities, Problem, "fetch.pem: certificate 2 cannot be read", nil},
		{"no key of the shared store", func(_ *testing.T, b *bed) {
			b.Config.Fetch.CAFile = "/nowhere/ca.pem"
			b.Config.Cache.Shared.URL, b.Config.Cache.Shared.KeyFile = "redis://127.0.0.1:1", "/nowhere/key"
		}, checkConfiguration, Problem, "cache.shared.key_file: open /nowhere/key", nil},
		{"no credential yet", func(_ *testing.T, b *bed) {
			b.Config.Cache.Shared.URL, b.Config.Cache.Shared.KeyFile = "redis://127.0.0.1:1", "/run/credentials/none.service/key"
		}, checkConfiguration, Unknown, "LoadCredential", nil},
		{"no authorities, and no credential yet", func(_ *testing.T, b *bed) {
			b.Config.Fetch.CAFile = "/nowhere/ca.pem"
			b.Config.Cache.Shared.URL, b.Config.Cache.Shared.KeyFile = "redis://127.0.0.1:1", "/run/credentials/none.service/key"
		}, checkConfiguration, Problem, "fetch.ca_file: open /nowhere/ca.pem", nil},
	})
}

func TestDomains(t *testing.T) {
	t.Parallel()
	listed := func(answer, withheld string, state ...string) admin.Listed {
		return admin.Listed{Condition: admin.Condition{State: state}, Policy: admin.Policy{MX: []string{"*.a.test"}, Answer: answer, Withheld: withheld}}
	}
	const policy = "OK secure match=.a.test servername=hostname"
	mismatch := listed(policy, "", admin.StateMismatch, admin.StateEnforce)
	protected := listed("OK dane-only", "", admin.StateMismatch, admin.StateEnforce)
	overridden := listed("OK secure match=b.test", "", admin.StateMismatch, admin.StateEnforce)
	temp := listed("TEMP SERVFAIL", "", admin.StateTemp, admin.StateEnforce)
	monitored := listed("NOTFOUND", policy, admin.StateMismatch, admin.StateEnforce)
	monitoredTemp := listed("NOTFOUND", "TEMP SERVFAIL", admin.StateTemp, admin.StateEnforce)
	monitoredDANE := listed("NOTFOUND", "OK dane-only", admin.StateMismatch, admin.StateEnforce)
	failing := listed(policy, "", admin.StateFailing, admin.StateEnforce)
	expiring := listed(policy, "", admin.StateExpiring, admin.StateFailing, admin.StateEnforce)
	for _, tt := range []struct {
		name   string
		status admin.Status
		listed []admin.Listed
		err    error
		want   []string
	}{
		{"nothing", admin.Status{}, nil, errors.New("not asked"), nil},
		{"cannot refresh", admin.Status{RefreshFailing: 2}, []admin.Listed{failing, failing}, nil,
			[]string{"hint Policies that cannot be refreshed, and apply until they expire: 2"}},
		{"expiring", admin.Status{RefreshFailing: 2}, []admin.Listed{failing, expiring}, nil, []string{
			"hint Domains that lose their protection within two days, because their policy cannot be refreshed: 1",
			"hint Policies that cannot be refreshed, and apply until they expire: 2"}},
		{"mismatch", admin.Status{Mismatched: 4}, []admin.Listed{mismatch, mismatch, protected, overridden}, nil,
			[]string{"problem Domains whose mail is deferred because their enforced policy matches no MX host: 2"}},
		{"mismatch, but DANE or an override", admin.Status{Mismatched: 2}, []admin.Listed{protected, overridden}, nil, nil},
		{"TEMP", admin.Status{Deferred: 1}, []admin.Listed{temp}, nil, []string{"problem Domains whose mail is deferred because a DNS question fails: 1"}},
		{"TEMP, but an override", admin.Status{Deferred: 1}, nil, nil, nil},
		{"mode monitor", admin.Status{Monitor: true, Mismatched: 2, Deferred: 1}, []admin.Listed{monitored, monitoredTemp, monitoredDANE}, nil, []string{
			"hint Domains whose mail would be deferred in mode enforce because a DNS question fails: 1",
			"hint Domains whose mail would be deferred in mode enforce because their enforced policy matches no MX host: 1"}},
		{"cut off", admin.Status{Mismatched: 2}, []admin.Listed{mismatch}, errors.New("it broke off"), []string{
			"problem Domains whose mail is deferred because their enforced policy matches no MX host: 1",
			"unknown Domains that need attention may be missing here: it broke off"}},
	} {
		h := Host{Daemon: daemon{listed: tt.listed, err: tt.err}}
		var got []string
		for _, f := range h.domains(t.Context(), tt.status) {
			got = append(got, fmt.Sprintf("%s %s", f.Severity, f.Text))
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestState(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		file     string
		severity Severity // "": nothing is said
	}{
		{t.TempDir() + "/to/be/made/policies.db", OK},
		{"/etc/passwd/no/policies.db", Problem},
		{config.MemoryOnly, ""},
	} {
		h := Host{Config: config.Default()}
		h.Config.Cache.File = tt.file
		var got Severity
		for _, f := range h.state() {
			got = f.Severity
		}
		if got != tt.severity {
			t.Errorf("%s: found %+v", tt.file, h.state())
		}
	}
}

func TestDNS(t *testing.T) {
	t.Parallel()
	dane := func(mode config.DANE, validates bool) func(*testing.T, *bed) {
		return func(_ *testing.T, b *bed) {
			b.main["smtp_dns_support_level"] = "dnssec"
			b.Config.DNS.DANE = mode
			b.dns.SetAuthenticated(validates)
		}
	}
	examineAll(t, []sick{
		{"no answer", func(_ *testing.T, b *bed) {
			b.Config.DNS.Timeout = 300 * time.Millisecond
			b.dns.Misbehave(resolvertest.EveryName, resolvertest.DNSSilent)
		}, checkResolver, Problem, "does not answer", nil},
		{"refuses everything", func(_ *testing.T, b *bed) {
			b.dns.Misbehave(resolvertest.EveryName, resolvertest.DNSRcode(dns.RcodeRefused))
		}, checkResolver, Problem, "REFUSED", nil},
		{"refuses the root", func(_ *testing.T, b *bed) { b.dns.Misbehave(".", resolvertest.DNSRcode(dns.RcodeRefused)) },
			checkResolver, OK, "The resolver answers", nil},
		{"validates", dane(config.DANEAuto, true), checkDANE, OK, "DANE takes precedence", nil},
		{"does not validate", dane(config.DANEAuto, false), checkDANE, Problem, "Postfix does DANE, but its resolver does not validate", nil},
		{"only Postfix's validates", func(t *testing.T, b *bed) {
			dane(config.DANEAuto, false)(t, b)
			other := resolvertest.StartDNS(t)
			other.SetAuthenticated(true)
			b.PostfixDNS.Servers = []netip.AddrPort{other.Addr()}
		}, checkDANE, Hint, "the daemon finds it for no domain", nil},
		{"only the daemon's validates", func(t *testing.T, b *bed) {
			dane(config.DANEAuto, true)(t, b)
			b.PostfixDNS.Servers = []netip.AddrPort{resolvertest.StartDNS(t).Addr()}
		}, checkDANE, Problem, "its resolver does not validate", nil},
		{"off", dane(config.DANEOff, true), checkDANE, Hint, "policies override it here: dns.dane is off", nil},
		{"from far", func(_ *testing.T, b *bed) {
			b.main["smtp_dns_support_level"] = "dnssec"
			b.dns.SetAuthenticated(true)
			b.Config.DNS.Servers = append(b.Config.DNS.Servers, config.Server{Host: "192.0.2.53", Port: 53})
		}, checkDANE, Hint, "trust-ad", nil},
		{"always without Postfix's", func(_ *testing.T, b *bed) { b.Config.DNS.DANE = config.DANEAlways }, checkDANE, Problem, "defers mail to every domain that has it", nil},
	})
}

func TestClock(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		now                     time.Time
		synchronised, container bool
		want                    string
	}{
		{time.Unix(0, 0), true, true, "problem The clock says 1970-01-01"},
		{time.Now(), true, false, "ok "},
		{time.Now(), false, false, "hint "},
		{time.Now(), true, true, "ok "},
		{time.Now(), false, true, ""},
	} {
		var got string
		for _, f := range clock(tt.now, tt.synchronised, tt.container) {
			got += string(f.Severity) + " " + f.Text
		}
		if !strings.HasPrefix(got, tt.want) || tt.want == "" && got != "" {
			t.Errorf("%+v: got %q", tt, got)
		}
	}
}

func TestPrint(t *testing.T) {
	t.Parallel()
	report := Report{Verdict: Suffers, Findings: []Finding{
		well(checkPostfix, "Postfix 3.7.11"),
		{Check: checkAuthorities, Severity: Problem, Instance: "postfix-out", Services: []string{"relay", "smtp"}, Remedy: "Name some, in a file that Postfix reads."},
	}}
	report.Findings[1].Text = line("No %s authorities", []any{"\x1b\xff"})
	const want = `ok       Postfix 3.7.11
problem  postfix-out: No \x1b\xff
         authorities (service relay,
         smtp)
         Remedy: Name some, in a file
         that Postfix reads.

Mail suffers: problems: 1, hints: 0.
`
	var out bytes.Buffer
	if err := report.Print(layout.Page{Writer: &out, Width: 40}); err != nil || out.String() != want {
		t.Errorf("error %v, printed\n%s", err, out.String())
	}
	text, err := json.Marshal(report)
	const wantJSON = `{"verdict":"mail suffers","findings":[{"check":"postfix","severity":"ok","text":"Postfix 3.7.11"},` +
		`{"check":"authorities","severity":"problem","instance":"postfix-out","services":["relay","smtp"],"text":"No \\x1b\\xff authorities","remedy":"Name some, in a file that Postfix reads."}]}`
	if err != nil || string(text) != wantJSON {
		t.Errorf("error %v, JSON\n%s", err, text)
	}
}

func TestLine(t *testing.T) {
	t.Parallel()
	if got, want := line("%s", []any{`a "b" \c` + "\n"}), `a "b" \c\n`; got != want {
		t.Errorf("got %s", got)
	}
	if got := line("%s", []any{strings.Repeat("x", 2*maxText)}); len(got) != maxText+len("...") {
		t.Errorf("%d bytes", len(got))
	}
}
