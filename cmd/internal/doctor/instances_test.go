package doctor

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"mta-sts-daemon/cmd/internal/postconf"
	"mta-sts-daemon/config"
	"mta-sts-daemon/resolver/mtasts"
)

// examineInstances looks at a host with the bed's Postfix and two more instances,
// whose settings differ from the bed's by what is given, "name = value" a line.
func (b *bed) examineInstances(t *testing.T, primary, in, out string) Report {
	t.Helper()
	for dir, own := range map[string]string{".": primary, "in": in, "out": out} {
		settings := map[string]string{"multi_instance_enable": "yes", "multi_instance_name": "postfix-" + dir}
		for name, value := range b.main {
			settings[name] = value
		}
		if dir == "." {
			settings["multi_instance_name"] = ""
			settings["multi_instance_directories"] = fmt.Sprintf("%s/in, %[1]s/out", b.dir)
		}
		for line := range strings.Lines(own) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " = ")
			settings[name] = value
		}
		var mainCF strings.Builder
		for name, value := range settings {
			fmt.Fprintf(&mainCF, "%s = %s\n", name, value)
		}
		b.write(t, dir+"/main.cf", mainCF.String())
		b.write(t, dir+"/masterCF", b.masterCF)
		b.write(t, dir+"/overrides", b.overrides)
	}
	b.Postfix = postconf.Command{Path: b.program(t, "postconf", `
if [ "$1" = -c ]; then cd "$2"; shift 2; fi
case "$*" in
-F*) cat masterCF ;;
"-x -P") cat overrides ;;
"-x config_directory") echo "config_directory = $PWD" ;;
*) shift; for name; do grep "^$name = " main.cf; done; exit 0 ;;
esac`)}
	return Examine(t.Context(), b.Host)
}

func TestInstances(t *testing.T) {
	t.Parallel()
	const dnssec, without, doesNotAsk, disabled = "smtp_dns_support_level = dnssec\n", "smtp_dns_support_level = enabled\n", "smtp_tls_policy_maps = \n", "multi_instance_enable = no\n"
	for _, tt := range []struct {
		title            string
		primary, in, out string
		check            Check
		severity         Severity
		instance         string
		says, remedy     string
	}{
		{"one asks and does DANE", doesNotAsk, doesNotAsk, dnssec, checkDANE, OK, "", "as in the instances of Postfix that ask: postfix-out", ""},
		{"two ask and do DANE", dnssec, doesNotAsk, dnssec, checkDANE, OK, "", "postfix-out", ""},
		{"one of two does DANE", dnssec, doesNotAsk, without, checkDANE, Hint, "", "because another does not: this host's Postfix does not do DANE: smtp_dns_support_level is not dnssec, or ignore_mx_lookup_error is yes (instance postfix-out)", "smtp_dns_support_level=dnssec"},
		{"the other one is disabled", dnssec, doesNotAsk, without + disabled, checkDANE, OK, "", "DANE goes before policies here", ""},
		{"none does DANE", without, doesNotAsk, without, checkDANE, OK, "", "DANE is not looked up here", ""},
		{"the primary is disabled", disabled, doesNotAsk, dnssec, checkDANE, OK, "", "that ask: postfix-out", ""},
		{"none asks", doesNotAsk, doesNotAsk, doesNotAsk + dnssec, checkDANE, OK, "", "no enabled instance of Postfix asks", ""},
		{"none asks and the primary one is looked at", doesNotAsk, doesNotAsk, doesNotAsk, checkPolicyMaps, Problem, "DIR", "smtp_tls_policy_maps is empty", "postconf -e "},
		{"one does not ask", dnssec, doesNotAsk, dnssec, checkPostfix, Hint, "postfix-in", "does not ask the daemon", "postconf -c DIR/in -e smtp_tls_policy_maps="},
		{"another's settings", doesNotAsk, doesNotAsk, "smtp_tls_security_level = none\n", checkSecurityLevel, Hint, "postfix-out", "in the clear", "postconf -c DIR/out -e smtp_tls_security_level=may (or dane, with smtp_dns_support_level=dnssec); postfix -c DIR/out reload"},
	} {
		t.Run(tt.title, func(t *testing.T) {
			t.Parallel()
			b := newBed(t)
			b.dns.SetAuthenticated(true)
			report := b.examineInstances(t, tt.primary, tt.in, tt.out)
			expand := strings.NewReplacer("DIR", b.dir).Replace
			if !slices.ContainsFunc(report.Findings, func(f Finding) bool {
				return f.Check == tt.check && f.Severity == tt.severity && f.Instance == expand(tt.instance) &&
					strings.Contains(f.Text, tt.says) && strings.Contains(f.Remedy, expand(tt.remedy))
			}) {
				t.Errorf("not found in %+v", report.Findings)
			}
		})
	}
}

func TestOverrides(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	cfg := config.Default()
	cfg.Overrides = map[config.OverrideKey]config.Override{}
	for name, days := range map[string]int{"ended.test": -1, "ends.test": 1, "b.test": 0, "a.test": 0} {
		d, err := mtasts.ParseDomain(name)
		if err != nil {
			t.Fatal(err)
		}
		o := config.Override{NotFound: true}
		if days != 0 {
			o.Until = now.AddDate(0, 0, days)
		}
		cfg.Overrides[config.OverrideKey{Domain: d, Host: true, Port: 587}] = o
	}
	var got []string
	for _, f := range overrides(cfg, now) {
		got = append(got, fmt.Sprintf("%s %s %s", f.Check, f.Severity, f.Text))
	}
	want := []string{
		"overrides hint The override of [ended.test]:587 ended at 2026-11-30T12:00:00Z and no longer applies",
		"overrides ok The override of [ends.test]:587 ends at 2026-12-02T12:00:00Z",
		"overrides ok Overrides without an end: 2 ([a.test]:587, [b.test]:587)",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q; want %q", got, want)
	}
}
