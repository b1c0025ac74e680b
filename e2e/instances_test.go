package e2e

import (
	"strings"
	"testing"
)

// TestInstances has two instances of each Postfix. The second one sends the mail,
// and its DANE settings decide what the daemon does.
func TestInstances(t *testing.T) {
	w := newSignedWorld(t)
	d := w.addDomain("both.example", "$D MX 10 mx.$D", "mx.$D A $1", "_25._tcp.mx.$D TLSA 3 1 1 $GOOD")
	w.publishSigned(d.name, d.policy("enforce"))
	w.open(t)
	const (
		several  = "multi_instance_directories = /etc/postfix-out"
		wrapper  = "multi_instance_wrapper = /usr/lib/postfix/sbin/postmulti"
		enabled  = "multi_instance_enable = yes"
		asks     = "smtp_tls_policy_maps = " + mapServer
		level    = "compatibility_level = 3.6"
		outQueue = "queue_directory = /var/spool/postfix-out"
		outData  = "data_directory = /var/lib/postfix-out"
		outName  = "multi_instance_name = postfix-out"
	)
	for _, s := range suites() {
		for _, tt := range []struct {
			name         string
			primary, out []string
			says         string
			names        string
			answer       string
		}{
			{"the one that asks does DANE", nil, []string{enabled, asks, withDNSSEC}, saysDANEOn, "instances=postfix-out", answerDANEOnly},
			{"the one that asks does not", []string{withDNSSEC}, []string{enabled, asks}, saysDANEOff, "postfix-out", answerSecure},
			{"one of two that ask does not", []string{asks, withDNSSEC}, []string{enabled, asks}, saysDANEOff, "(instance postfix-out)", answerSecure},
			{"the second is disabled", []string{asks, withDNSSEC}, []string{asks}, saysDANEOn, "instances=/etc/postfix", answerDANEOnly},
			{"none asks", []string{withDNSSEC}, []string{enabled, withDNSSEC}, saysDANEOff, "no enabled instance", answerSecure},
		} {
			t.Run(string(s)+"/"+tt.name, func(t *testing.T) {
				s.need(t)
				r := newRoot(t, s)
				r.write(t, "etc/postfix/main.cf", settingsFile("=", append(tt.primary, level, several, wrapper, enabled)...))
				r.write(t, "etc/postfix-out/main.cf", settingsFile("=", append(tt.out, level, outName, outQueue, outData)...))
				r.write(t, "etc/postfix-out/master.cf", r.read(t, "etc/postfix/master.cf"))
				daemon := startDaemonIn(t, w.world, r, daneAuto)
				daemon.awaitSaid(t, tt.says, 1)
				checkAnswer(t, d.name, tt.answer)
				doctor := r.command(daemonPath, "doctor", "--config", daemonConfig)
				out, _ := doctor.CombinedOutput() // its exit status is about more than this
				if !strings.Contains(string(out), "postfix-out") && !strings.Contains(string(out), "/etc/postfix: ") {
					t.Errorf("doctor does not name the instances:\n%s", out)
				}
				daemon.stop(t)
				said := daemon.linesOf(saysDANEOn, saysDANEOff, saysDANENotTrusted)
				if len(said) != 1 || !strings.Contains(said[0], tt.names) {
					t.Errorf("the daemon said of DANE: %q, want %q", said, tt.names)
				}
			})
		}
	}
}
