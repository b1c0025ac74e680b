package doctor

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// sick is a host with a fault, and the finding that it must have.
type sick struct {
	title    string
	change   func(t *testing.T, b *bed)
	check    Check
	severity Severity
	says     string
	services []string // nil: all
}

// set changes main.cf: a list of names and values.
func set(pairs ...string) func(*testing.T, *bed) {
	return func(_ *testing.T, b *bed) {
		for i := 0; i < len(pairs); i += 2 {
			b.main[pairs[i]] = pairs[i+1]
		}
	}
}

// examineAll examines each host. There may be no other finding.
func examineAll(t *testing.T, cases []sick) {
	t.Helper()
	for _, tt := range cases {
		t.Run(tt.title, func(t *testing.T) {
			t.Parallel()
			b := newBed(t)
			tt.change(t, b)
			report := b.examine(t)
			i := slices.IndexFunc(report.Findings, func(f Finding) bool {
				return f.Check == tt.check && f.Severity == tt.severity && strings.Contains(f.Text, tt.says)
			})
			if i < 0 {
				t.Fatalf("not found: %s, %s, %q in %+v", tt.check, tt.severity, tt.says, report.Findings)
			}
			if got := report.Findings[i]; !slices.Equal(got.Services, tt.services) {
				t.Errorf("its services are %v", got.Services)
			} else if got.Severity != Unknown && (got.Severity == OK) != (got.Remedy == "") {
				t.Errorf("remedy: %q", got.Remedy)
			}
			for j, other := range report.Findings {
				if j != i && other.Severity != OK && other.Check != tt.check && other.Check != checkClock {
					t.Errorf("found too: %+v", other)
				}
			}
		})
	}
}

func TestWell(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	report := b.examine(t)
	var checks []Check
	for _, f := range report.Findings {
		if f.Check == checkClock {
			continue // TestClock has that
		}
		checks = append(checks, f.Check)
		if f.Severity != OK || f.Services != nil {
			t.Errorf("found: %+v", f)
		}
	}
	want := []Check{checkConfiguration, checkPostfix, checkAnswers, checkMapName, checkAuthorities, checkSecurityLevel,
		checkDaemon, checkResolver, checkDANE}
	if !slices.Equal(checks, want) {
		t.Errorf("examined %v", checks)
	}
	if report.Verdict != Well || report.ExitStatus() != 0 {
		t.Errorf("verdict %q, exit status %d", report.Verdict, report.ExitStatus())
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	examineAll(t, []sick{
		{"no authorities", set(caFile, ""), checkAuthorities, Problem, "are empty", nil},
		{"no CA file", set(caFile, "/nowhere/ca.pem"), checkAuthorities, Problem, "/nowhere/ca.pem: no such file", nil},
		{"no CA in the file", set(caFile, "/etc/passwd"), checkAuthorities, Problem, "holds no certificate", nil},
		{"no CA directory", set(caFile, "", caPath, "/nowhere"), checkAuthorities, Problem, "queue/nowhere, has no authorities", nil},
		{"no CA in the file, CA directory", func(t *testing.T, b *bed) {
			set(caFile, "/etc/passwd", caPath, "/etc/ssl/certs")(t, b)
			b.write(t, "queue/etc/ssl/certs/0a1b2c3d.0", "")
		}, checkAuthorities, Problem, "holds no certificate", nil},
		{"CA file, no CA directory", set(caPath, "/nowhere"), checkAuthorities, Hint, "only those of smtp_tls_CAfile count", nil},
		{"CA directory", func(t *testing.T, b *bed) {
			set(caFile, "", caPath, "/etc/ssl/certs")(t, b)
			b.write(t, "queue/etc/ssl/certs/0a1b2c3d.0", "")
		}, checkAuthorities, OK, "/etc/ssl/certs", nil},
		{"in the clear", set(securityLevel, ""), checkSecurityLevel, Hint, "without TLS", nil},
		{"none", set(securityLevel, "none"), checkSecurityLevel, Hint, "without TLS", nil},
		{"obsolete", set(securityLevel, "", useTLS, "yes"), checkSecurityLevel, Hint, "obsolete", nil},
		{"strict", set(securityLevel, "Encrypt"), checkSecurityLevel, Hint, "= encrypt", nil},
		{"dane without DNSSEC", set(securityLevel, "dane"), checkSecurityLevel, Hint, "has the effect of may", nil},
		{"dane-only without DNSSEC", set(securityLevel, "dane-only"), checkSecurityLevel, Problem, "without DNSSEC", nil},
		{"no such level", set(securityLevel, "m\x1bay"), checkSecurityLevel, Problem, `m\x1bay is unknown to Postfix`, nil},
		{"no mandatory protocol", set(mandatoryProtocols, "!TLSv1.2 !TLSv1.3"), checkProtocols, Problem, "with an enforced policy is deferred", nil},
		{"no such protocol", set(mandatoryProtocols, "TLS1.3"), checkProtocols, Problem, "has a name that is no protocol", nil},
		{"no protocol", set(protocols, "<=TLSv1.1"), checkProtocols, Problem, "allows neither TLSv1.2 nor TLSv1.3", nil},
		{"no log", set(logLevel, "0"), checkLogLevel, Hint, "logs no TLS connections", nil},
		{"relay host", set(relayhost, "[smart.test]:587"), checkRelayhost, Hint, "[smart.test]:587", nil},
		{"no tlsproxy", set(connectionReuse, "yes"), checkReuse, Problem, "no tlsproxy", nil},
		{"tlsproxy", func(t *testing.T, b *bed) {
			set(connectionReuse, "yes")(t, b)
			b.masterCF += "tlsproxy/unix/chroot = y\ntlsproxy/unix/command = tlsproxy\n"
		}, checkReuse, OK, "tlsproxy", nil},
		{"one service in the clear", func(t *testing.T, b *bed) {
			b.overrides += "relay/unix/smtp_tls_security_level = none\n"
		}, checkSecurityLevel, Hint, "without TLS", []string{"relay"}},
		{"the other service trusts", func(t *testing.T, b *bed) {
			b.overrides += "relay/unix/smtp_tls_CAfile = " + filepath.Join(b.dir, "ca.pem") + "\n"
			b.main[caFile] = ""
		}, checkAuthorities, Problem, "are empty", []string{"smtp"}},
		{"no smtp client", func(t *testing.T, b *bed) {
			b.masterCF = "smtp/inet/chroot = y\nsmtp/inet/command = smtpd\n"
		}, checkPostfix, Hint, "No service", nil},
	})
}

func TestMapName(t *testing.T) {
	t.Parallel()
	named := func(name string, pairs ...string) func(*testing.T, *bed) {
		return func(t *testing.T, b *bed) {
			set(pairs...)(t, b)
			b.main[policyMaps] = strings.Replace(b.main[policyMaps], ":postfix", ":"+name, 1)
		}
	}
	examineAll(t, []sick{
		{"attributes too early", named("queryWITHtlsrpt"), checkMapName, Problem, "which Postfix 3.7.11 does not know", nil},
		{"attributes in 3.9", named("tlsrpt", mailVersion, "3.9.4"), checkMapName, Problem, "does not know", nil},
		{"attributes", named("tlsrpt", mailVersion, "3.10.0"), checkMapName, OK, "suits Postfix 3.10.0", nil},
		{"attributes, snapshot", named("tlsrpt", mailVersion, "4.0-20300101", enforceSTSPatterns, "yes"), checkMapName, OK, "suits", nil},
		{"attributes by configuration", func(t *testing.T, b *bed) {
			m := b.Config.Maps["postfix"]
			m.TLSRPT = true
			b.Config.Maps["postfix"] = m
		}, checkMapName, Problem, "does not know", nil},
		{"plain where there is better", named("postfix", mailVersion, "3.10.13", enforceSTSPatterns, "yes"), checkMapName, Hint, "without report attributes", nil},
		{"patterns not enforced", named("tlsrpt", mailVersion, "3.11.7", enforceSTSPatterns, "no"), checkMapName, Hint, "= no", nil},
		{"strange version", named("postfix", mailVersion, "x"), checkMapName, Unknown, "its version is x", nil},
	})
}

func TestCannotLook(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.examine(t)
	for _, tt := range []struct{ script, says string }{
		{"exit 1", "settings cannot be read"},
		{"echo nonsense", "settings cannot be read"},
	} {
		b.Postfix.Path = b.program(t, "postconf", tt.script)
		report := Examine(t.Context(), b.Host)
		f := report.Findings[1]
		if f.Check != checkPostfix || f.Severity != Unknown || !strings.Contains(f.Text, tt.says) {
			t.Errorf("%s: found %+v", tt.script, f)
		}
		if report.Verdict != Unclear || report.ExitStatus() != 2 {
			t.Errorf("%s: verdict %q, exit status %d", tt.script, report.Verdict, report.ExitStatus())
		}
	}
}
