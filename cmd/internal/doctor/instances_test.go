package doctor

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mta-sts-daemon/cmd/internal/admin"
	"mta-sts-daemon/cmd/internal/postconf"
	"mta-sts-daemon/config"
)

// examineInstances examines a host with the bed's Postfix and two more instances.
// The settings of primary, in and out, "name = value" a line, change the bed's.
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
*) shift; IFS="|"; grep -E "^($*) = " main.cf; exit 0 ;;
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
		{"the other one is disabled", dnssec, doesNotAsk, without + disabled, checkDANE, OK, "", "DANE takes precedence over policies here", ""},
		{"none does DANE", without, doesNotAsk, without, checkDANE, OK, "", "DANE is not looked up here", ""},
		{"the primary is disabled", disabled, doesNotAsk, dnssec, checkDANE, OK, "", "that ask: postfix-out", ""},
		{"none asks", doesNotAsk, doesNotAsk, doesNotAsk + dnssec, checkDANE, OK, "", "no enabled instance of Postfix asks", ""},
		{"one asks at an address of the socket unit", doesNotAsk, doesNotAsk, dnssec + "smtp_tls_policy_maps = socketmap:unix:unit/sock:postfix\n", checkDANE, OK, "", "that ask: postfix-out", ""},
		{"none asks and the primary one is looked at", doesNotAsk, doesNotAsk, doesNotAsk, checkPolicyMaps, Problem, "DIR", "smtp_tls_policy_maps is empty", "postconf -e "},
		{"one does not ask", dnssec, doesNotAsk, dnssec, checkPostfix, Hint, "postfix-in", "does not ask the daemon", "postconf -c DIR/in -e smtp_tls_policy_maps="},
		{"another's settings", doesNotAsk, doesNotAsk, "smtp_tls_security_level = none\n", checkSecurityLevel, Hint, "postfix-out", "without TLS", "postconf -c DIR/out -e smtp_tls_security_level=may; postfix -c DIR/out reload"},
		{"a port where nobody listens", dnssec, doesNotAsk, "smtp_tls_policy_maps = socketmap:inet:127.0.0.1:1:postfix\n", checkAnswers, Problem, "postfix-out",
			"Nobody answers at 127.0.0.1:1, so mail to every domain is deferred", "postconf -c DIR/out -e smtp_tls_policy_maps=socketmap:inet:127.0.0.1:"},
	} {
		t.Run(tt.title, func(t *testing.T) {
			t.Parallel()
			b := newBed(t)
			b.dns.SetAuthenticated(true)
			unit := config.Address{Network: config.Unix, Address: filepath.Join(b.main[queueDirectory], "unit/sock")}
			b.Daemon = daemon{status: admin.Status{Socketmap: append(b.Config.Listen.Socketmap, unit)}}
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
