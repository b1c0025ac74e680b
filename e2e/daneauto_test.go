package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Messages of the daemon about DANE.
const (
	saysDANEOn         = `level=INFO msg="DANE takes precedence over MTA-STS here"`
	saysDANEOff        = `level=INFO msg="DANE is not looked up here"`
	saysDANENotTrusted = `level=WARN msg="Postfix does DANE, but the resolver's AD bit does not count here, so MTA-STS overrides DANE"`
	saysValidates      = `level=INFO msg="Resolver validates DNSSEC"`
)

const (
	daneAuto   = "dns: {dane: auto}" // asks the servers in the root's resolv.conf
	withDNSSEC = "smtp_dns_support_level = dnssec"
)

// TestDANEAuto starts the daemon next to a Postfix that does DANE, does not, or
// cannot be asked. It starts in all cases and logs whether it looks DANE up.
func TestDANEAuto(t *testing.T) {
	w := newSignedWorld(t)
	d := w.addDomain("both.example", "$D MX 10 mx.$D", "mx.$D A $1", "_25._tcp.mx.$D TLSA 3 1 1 $GOOD")
	w.publishSigned(d.name, d.policy("enforce"))
	w.open(t)
	const far = "192.0.2.53"
	for _, test := range []struct {
		name    string
		postfix []string // lines of main.cf
		daemon  string
		prepare func(t *testing.T, r *root) // may be nil
		says    string
		reason  string
		answer  string // "": not asked
	}{
		{"Postfix does DANE", []string{withDNSSEC}, daneAuto, nil, saysDANEOn, "", answerDANEOnly},
		{"Postfix has no DNSSEC", nil, daneAuto, nil, saysDANEOff, "smtp_dns_support_level is not dnssec", answerSecure},
		{"Postfix ignores failed MX lookups", []string{withDNSSEC, "ignore_mx_lookup_error = yes"}, daneAuto, nil,
			saysDANEOff, "ignore_mx_lookup_error is yes", answerSecure},
		{"no Postfix", nil, daneAuto, func(t *testing.T, r *root) { r.remove(t, "usr/sbin/postconf") },
			saysDANEOff, "no postconf(1) on this host", answerSecure},
		{"no main.cf", nil, daneAuto, func(t *testing.T, r *root) { r.remove(t, "etc/postfix/main.cf") },
			saysDANEOff, "main.cf", answerSecure},
		{"resolver on another host", []string{withDNSSEC}, `dns: {dane: auto, servers: ["` + far + `"]}`, nil,
			saysDANENotTrusted, "trust-ad", ""},
		{"resolver on another host in resolv.conf", []string{withDNSSEC}, daneAuto, func(t *testing.T, r *root) {
			r.write(t, "etc/resolv.conf", "nameserver "+far+"\n")
		}, saysDANENotTrusted, "trust-ad", ""},
		{"the same with trust-ad", []string{withDNSSEC}, daneAuto, func(t *testing.T, r *root) {
			r.write(t, "etc/resolv.conf", "nameserver "+far+"\noptions trust-ad\n")
		}, saysDANEOn, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRoot(t, bookworm)
			r.write(t, "etc/postfix/main.cf", settingsFile("=", append(test.postfix, "compatibility_level = 3.6")...))
			if test.prepare != nil {
				test.prepare(t, r)
			}
			daemon := startDaemonIn(t, w.world, r, test.daemon)
			daemon.awaitSaid(t, test.says, 1)
			if test.answer != "" {
				checkAnswer(t, d.name, test.answer)
			}
			if test.answer == answerDANEOnly {
				daemon.awaitSaid(t, saysValidates, 1)
			}
			daemon.stop(t)
			said := daemon.linesOf(saysDANEOn, saysDANEOff, saysDANENotTrusted)
			if len(said) != 1 || !strings.Contains(said[0], test.says) || !strings.Contains(said[0], test.reason) {
				t.Errorf("the daemon said of DANE: %q, want %q once, with %q", said, test.says, test.reason)
			}
		})
	}
}

// TestDANEFollowsPostfix switches DANE on in Postfix while the daemon runs. Mail
// that was deferred because the server's certificate does not satisfy the policy
// is then sent, because it matches the TLSA record.
func TestDANEFollowsPostfix(t *testing.T) {
	w := newSignedWorld(t)
	d := w.addDomain("both.example", "$D MX 10 mx.$D", "mx.$D A $1", "_25._tcp.mx.$D TLSA 3 1 1 $GOOD")
	w.publishSigned(d.name, d.policy("enforce"))
	w.open(t)
	p := startPostfix(t, w.world, bookworm)
	daemon := startDaemonIn(t, w.world, p.root, daneAuto)
	mx := w.startServers(t, d, matching, "")[0]

	rcpt := "postmaster@" + d.name
	queueID := p.send(t, rcpt)
	check(t, unknownCA, p.outcome(t, queueID), mx, rcpt)
	for _, setting := range doesDANE {
		run(t, p.root.command("/usr/sbin/postconf", "-e", setting))
	}
	run(t, p.root.command("/usr/sbin/postfix", "reload"))
	daemon.awaitSaid(t, saysDANEOn, 1)
	checkAnswer(t, d.name, answerDANEOnly)
	p.flush(t)
	check(t, verified, p.awaitSent(t, queueID), mx, rcpt)
	daemon.stop(t)
}

// remove takes a file out of the root.
func (r *root) remove(t *testing.T, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(r.dir, name)); err != nil {
		t.Fatal(err)
	}
}

// linesOf are the lines with one of texts in them.
func (p *process) linesOf(texts ...string) (found []string) {
	lines, _ := p.said.snapshot()
	for _, line := range lines {
		for _, text := range texts {
			if strings.Contains(line, text) {
				found = append(found, line)
			}
		}
	}
	return found
}
