package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"text/tabwriter"

	"mta-sts-daemon/e2e/internal/isolated"
	"mta-sts-daemon/resolver/resolvertest"
)

// otherMTA is a mail server apart from Postfix that asks the daemon.
type otherMTA struct {
	name      string
	suite     suite
	packages  string
	configure func(t *testing.T, r *root, ca string)
	// send returns when the program has tried to deliver a message to rcpt. said is the
	// program's line about the attempt.
	send func(t *testing.T, r *root, rcpt string) (sent bool, said string)
}

const (
	sendmailName = "sendmail"

	mtaPasswd = "root:x:0:0::/root:/bin/sh\nmail:x:8:8::/:/bin/false\nDebian-exim:x:101:101::/var/spool/exim4:/bin/false\nsmmta:x:102:102::/:/bin/false\nsmmsp:x:103:103::/:/bin/false\n"
	mtaGroup  = "root:x:0:\nmail:x:8:\nDebian-exim:x:101:\nsmmta:x:102:\nsmmsp:x:103:\n"

	sendmailPackages = "sendmail-bin,sendmail-cf,m4,dash,coreutils,sed,grep,libc-bin,base-files"
	eximPackages     = "exim4-daemon-light,dash,coreutils,libc-bin,base-files"
)

// otherMTAs are Debian 13's. Debian 12's, Sendmail 8.17.1.9 and Exim 4.96, did the same
// when they were tried.
func otherMTAs() []otherMTA {
	return []otherMTA{
		{sendmailName, trixie, sendmailPackages, configureSendmail, sendBySendmail},
		{"exim", trixie, eximPackages, configureExim, sendByExim},
	}
}

// id names the server and the release of Debian that has it.
func (m otherMTA) id() string { return m.name + "-" + string(m.suite) }

// leftOut returns the reason why the server is not available, or "".
func (m otherMTA) leftOut() string { return isolated.LeftOut(m.id()) }

// tree has the server alone, because Debian installs only one mail server.
func (m otherMTA) tree() isolated.Tree {
	return isolated.Tree{
		Suite: string(m.suite), Name: m.id(), Variant: "extract", Packages: m.packages,
		Contents: mtaPasswd + mtaGroup,
		Prepare:  prepareMTA,
		Optional: true,
	}
}

func prepareMTA(dir string) error {
	for name, text := range map[string]string{"etc/passwd": mtaPasswd, "etc/group": mtaGroup} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	return chrooted(dir, "/sbin/ldconfig").Run()
}

func testdata(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func configureSendmail(t *testing.T, r *root, ca string) {
	t.Helper()
	r.write(t, "etc/mail/ca.pem", ca)
	r.write(t, "etc/mail/certs/.keep", "")
	r.write(t, "etc/mail/local.mc", testdata(t, "sendmail.mc"))
	r.write(t, "etc/mail/local-host-names", "")
	r.write(t, "etc/hosts", "127.0.0.1 "+senderHost+"\n")
	r.write(t, "var/spool/mqueue/.keep", "")
	cf := run(t, r.command("/usr/bin/m4", "-D_CF_DIR_=/usr/share/sendmail/cf/", "/usr/share/sendmail/cf/m4/cf.m4", "/etc/mail/local.mc"))
	r.write(t, "etc/mail/sendmail.cf", cf)
}

var sendmailOutcome = regexp.MustCompile(`(?m)^.*\.\.\. (Sent|Deferred).*$`)

func sendBySendmail(t *testing.T, r *root, rcpt string) (sent bool, said string) {
	t.Helper()
	cmd := r.command("/usr/libexec/sendmail/sendmail", "-Am", "-odi", "-v", "-f", "sender@"+senderHost, rcpt)
	cmd.Stdin = strings.NewReader("Subject: end to end\n\nHello.\n")
	out, err := cmd.CombinedOutput()
	line := sendmailOutcome.FindString(string(out))
	if line == "" {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	return strings.Contains(line, "... Sent"), line
}

func configureExim(t *testing.T, r *root, ca string) {
	t.Helper()
	r.write(t, "etc/exim4/ca.pem", ca)
	r.write(t, "etc/exim4/exim4.conf", testdata(t, "exim4.conf"))
	run(t, r.command("/bin/sh", "-c", "mkdir -p /var/spool/exim4 /var/log/exim4 && chown 101:101 /var/spool/exim4 /var/log/exim4"))
}

func sendByExim(t *testing.T, r *root, rcpt string) (sent bool, said string) {
	t.Helper()
	cmd := r.command("/usr/sbin/exim4", "-odf", "-f", "sender@"+senderHost, rcpt)
	cmd.Stdin = strings.NewReader("Subject: end to end\n\nHello.\n")
	run(t, cmd)
	log, err := os.ReadFile(filepath.Join(r.dir, "var/log/exim4/mainlog"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(log)) {
		if fields := strings.Fields(line); len(fields) > 4 && fields[4] == rcpt && (fields[3] == "=>" || fields[3] == "==" || fields[3] == "**") {
			return fields[3] == "=>", strings.Join(fields[3:], " ")
		}
	}
	t.Fatalf("no outcome for %s:\n%s", rcpt, log)
	return false, ""
}

// Outcomes of a message.
const (
	sentWithTLS = "sent, TLS"
	sentInClear = "sent in clear"
	deferred    = "deferred"
)

// TestOtherMTAs delivers with Sendmail and Exim, configured as in docs/other-mtas.md, and
// prints what each did.
func TestOtherMTAs(t *testing.T) {
	w := newWorld(t)
	d := startDaemon(t, w, "maps: {sts: {max_answer: 800}}") // as docs/other-mtas.md has it
	cases := []struct {
		name        string
		domain      string
		mx          string // below the domain
		publishes   func(domain string) resolvertest.Behaviour
		certificate certificate
		want        string
		bySendmail  string // if that differs
	}{
		{"enforce, good certificate", "good.test", "mx", enforce, goodCertificate, sentWithTLS, ""},
		{"enforce, wildcard", "wildcard.test", "mx", wildcard, goodCertificate, sentWithTLS, ""},
		{"enforce, MX host in upper case", "upper.test", "MX", enforce, goodCertificate, sentWithTLS, ""},
		{"enforce, wildcard, two labels", "two.test", "a.b", wildcard, goodCertificate, deferred, ""},
		{"enforce, MX host not in the policy", "other.test", "mx", otherHost, goodCertificate, deferred, ""},
		{"enforce, wrong name", "wrong.test", "mx", enforce, wrongName, deferred, ""},
		{"enforce, expired", "expired.test", "mx", enforce, expired, deferred, ""},
		{"enforce, self-signed", "self-signed.test", "mx", enforce, selfSigned, deferred, ""},
		{"enforce, no STARTTLS", "no-starttls.test", "mx", enforce, noSTARTTLS, deferred, ""},
		{"enforce, 10 MX host patterns", "ten.test", "mx", enforceMany(10), goodCertificate, sentWithTLS, ""},
		{"enforce, 20 MX host patterns", "twenty.test", "mx", enforceMany(20), goodCertificate, sentWithTLS, deferred},
		{"enforce, 100 MX host patterns", "hundred.test", "mx", enforceMany(100), goodCertificate, sentWithTLS, deferred},
		{"testing, self-signed", "testing.test", "mx", onlyTesting, selfSigned, sentWithTLS, ""},
		{"testing, no STARTTLS", "testing-plain.test", "mx", onlyTesting, noSTARTTLS, sentInClear, ""},
		{"no policy, self-signed", "none.test", "mx", nil, selfSigned, sentWithTLS, ""},
		{"no policy, no STARTTLS", "none-plain.test", "mx", nil, noSTARTTLS, sentInClear, ""},
		{"daemon stopped, no policy", stoppedDomain, "mx", nil, goodCertificate, deferred, ""}, // the last one
	}
	mtas := otherMTAs()
	roots := make([]*root, len(mtas))
	for i, m := range mtas {
		if m.leftOut() == "" {
			roots[i] = newRootOf(t, m.tree())
			m.configure(t, roots[i], string(w.ca.PEM()))
		}
	}
	var table strings.Builder
	tw := tabwriter.NewWriter(&table, 0, 0, 1, ' ', 0)
	for n, c := range cases {
		host, address := c.mx+"."+c.domain, fmt.Sprintf("127.0.1.%d", n+1)
		w.addMX(c.domain, host, address)
		mx := startSink(t, w.ca, address+":25", host, c.certificate)
		if c.publishes != nil {
			w.publish(c.domain, c.publishes(c.domain))
		}
		if c.domain == stoppedDomain {
			d.stop(t)
		}
		for i, m := range mtas {
			t.Run(m.id()+"/"+c.domain, func(t *testing.T) {
				if reason := m.leftOut(); reason != "" {
					t.Skipf("left out, %s: %s", m.id(), reason)
				}
				want := c.want
				if m.name == sendmailName && c.bySendmail != "" {
					want = c.bySendmail
				}
				sent, said := m.send(t, roots[i], "postmaster@"+c.domain)
				got := deferred
				for _, message := range mx.Collect(senderHost) {
					got = sentInClear
					if message.TLS {
						got = sentWithTLS
					}
				}
				fmt.Fprintf(tw, "%s\t| %s\t| %s\t| %s\n", c.name, m.id(), got, said)
				if got != want || sent != (want != deferred) {
					t.Errorf("%s, want %s; it says: %s", got, want, said)
				}
			})
		}
	}
	tw.Flush()
	t.Log("\n" + table.String())
}

const stoppedDomain = "stopped.test"
