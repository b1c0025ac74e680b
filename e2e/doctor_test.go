package e2e

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
)

// TestDoctor sets up Postfix and the daemon with each fault that doctor knows, and
// without. It runs doctor in Postfix's root and has Postfix send a message to a domain
// with a policy and one to a domain without. If doctor finds a problem, mail must suffer,
// and if it finds none, mail must not; a remedy that is a command must cure it. The log
// has the table.
func TestDoctor(t *testing.T) {
	w := newSignedWorld(t)
	one := []string{"$D MX 10 mx.$D", "mx.$D A $1"}
	policied := w.addDomain("policy.example", one...)
	plain := w.addDomain("plain.example", one...)
	dane := w.addDomain("dane.example", append(one, "_25._tcp.mx.$D TLSA 3 1 1 $GOOD")...)
	temp := w.addDomain("temp.example", append(one, "_25._tcp.mx.$D CNAME $B", "$B TLSA 3 1 1 $GOOD")...)
	mismatch := w.addDomain("mismatch.example", one...)
	expiring := w.addDomain("expiring.example", one...)
	for _, d := range []mailDomain{policied, temp} {
		w.publishSigned(d.name, d.policy("enforce"))
	}
	w.publishSigned(mismatch.name, otherHost(mismatch.name))
	ca := newRoot(t, bookworm)
	ca.write(t, "ca.pem", string(w.ca.PEM()))
	hash := run(t, ca.command("/usr/bin/openssl", "x509", "-hash", "-noout", "-in", "/ca.pem"))
	w.publishSigned(expiring.name, shortLived(expiring.name))
	validating := w.open(t)
	for addr, more := range map[netip.AddrPort]string{
		secondAddr:     "server:\n\tmodule-config: \"iterator\"\n",
		refusesTheRoot: "server:\n\tlocal-zone: \".\" refuse\n\tlocal-zone: \"example.\" transparent\n\tlocal-zone: \"org.\" transparent\n",
	} {
		startUnboundAt(t, bookworm, addr, validating+more).stopLater(t)
	}
	for _, d := range []mailDomain{policied, mismatch, expiring} {
		w.startServers(t, d, public, "")
	}
	for _, d := range []mailDomain{plain, dane, temp} {
		w.startServers(t, d, matching, "")
	}
	var log strings.Builder
	table := tabwriter.NewWriter(&log, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SET-UP\tPOSTFIX\tDOCTOR\tMAIL WITH A POLICY\tMAIL WITHOUT\tAFTER THE REMEDY")
	for _, s := range suites() {
		t.Run(string(s), func(t *testing.T) {
			s.need(t)
			surgery := openSurgery(t, w.world, s)
			surgery.table, surgery.caName = table, strings.TrimSpace(hash)+".0"
			for _, p := range patients() {
				if p.only == nil || slices.Contains(p.only, s) {
					t.Run(p.name, func(t *testing.T) { surgery.examine(t, p) })
				}
			}
			surgery.inContainer(t)
			surgery.withoutDaemon(t)
			surgery.withoutPostfix(t)
		})
	}
	table.Flush()
	t.Logf("\n%s", log.String())
}

// refusesTheRoot is the address of a resolver that refuses questions about the root.
var refusesTheRoot = netip.MustParseAddrPort("127.0.0.57:53")

// surgery is a Postfix with the daemon in its root.
type surgery struct {
	*postfix
	t      *testing.T // of the suite, at whose end the daemon ends
	world  *world
	daemon *daemon
	table  io.Writer
	caName string // the authority's in a CA directory
	// Without a fault.
	mainCF   []string // lines
	masterCF string
}

// inSurgery are the daemon's settings: it listens for all kinds of tables.
const inSurgery = `listen: {socketmap: ["` + daemonAddr + `", "unix:/var/spool/postfix/mta-sts/sock"], tcp_table: ["` + tcpTableAddr +
	`", {address: "` + reportAddr + `", map: tlsrpt}]}`

func openSurgery(t *testing.T, w *world, s suite) *surgery {
	t.Helper()
	p := &surgery{postfix: startPostfix(t, w, s), t: t, world: w}
	mainCF := "default_destination_concurrency_failed_cohort_limit = 0\nservice_throttle_time = 1s\n" // each message is tried
	mainCF += p.root.read(t, "etc/postfix/main.cf")
	p.mainCF = strings.Split(strings.TrimSpace(mainCF), "\n")
	p.masterCF = p.root.read(t, "etc/postfix/master.cf")
	if err := os.Mkdir(filepath.Join(p.root.jail(), "mta-sts"), 0o755); err != nil {
		t.Fatal(err)
	}
	p.root.write(t, "etc/postfix/redirected", policyDomain+" may\n")
	p.daemon = startDaemonIn(t, w, p.root, inSurgery)
	return p
}

// read returns a file of the root.
func (r *root) read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(r.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// prepare sets the surgery up for p, and without a fault after the test.
func (s *surgery) prepare(t *testing.T, p patient) {
	t.Helper()
	s.root.write(t, "etc/postfix/main.cf", settingsFile("=", slices.Concat(s.mainCF, p.mainCF)...))
	masterCF := s.masterCF + p.masterCF
	if p.ownMap != "" {
		masterCF = smtpService.ReplaceAllString(masterCF, "$0\n  -o smtp_tls_policy_maps="+p.ownMap)
	}
	s.root.write(t, "etc/postfix/master.cf", masterCF)
	s.resolve(t, cmp.Or(p.resolver, resolverAddr))
	s.configure(t, p.restart, p.config...)
	if p.restart {
		t.Cleanup(func() { s.configure(t, true) })
	}
	if p.socketMode != 0 {
		sock := filepath.Join(s.root.jail(), "mta-sts", "sock")
		if err := os.Chmod(sock, p.socketMode); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := os.Chmod(sock, 0o666); err != nil {
				t.Fatal(err)
			}
		})
	}
	if p.before != nil {
		p.before(t, s)
	}
}

// smtpService is the line of the smtp client in master.cf.
var smtpService = regexp.MustCompile(`(?m)^smtp +unix .*$`)

// configure writes the daemon's settings, which only doctor reads unless the daemon is
// started again.
func (s *surgery) configure(t *testing.T, restart bool, settings ...string) {
	t.Helper()
	if restart {
		s.daemon.stop(t)
	}
	s.daemon.configure(t, append([]string{inSurgery}, settings...)...)
	if restart {
		s.daemon.again(s.t)
	}
}

// resolve gives Postfix another resolver.
func (s *surgery) resolve(t *testing.T, addr netip.AddrPort) {
	t.Helper()
	for _, dir := range []string{"", "var/spool/postfix/"} {
		s.root.write(t, dir+"etc/resolv.conf", "nameserver "+addr.Addr().String()+"\n")
	}
}

func (s *surgery) examine(t *testing.T, p patient) {
	s.prepare(t, p)
	var with, without fate
	if !p.noMail {
		with, without = s.deliver(t, cmp.Or(p.domain, policyDomain), p.stuck)
	}
	if p.after != nil {
		p.after(t, s)
	}
	report := s.doctor(t)
	found := report.check(t, p.want)
	problems := report.with("problem")
	suffers := !with.protected() || without.Status != statusSent || without.TLS == "" && !p.clear
	switch {
	case p.noMail || p.meant:
	case p.unlogged:
		if with.Status != statusSent || with.TLS != "" || without.Status != statusSent {
			t.Errorf("mail: %v and %v", with, without)
		}
	case suffers != (len(problems) > 0):
		t.Errorf("doctor found %+v, and mail is %v and %v", problems, with, without)
	}
	cured := ""
	if command, _, _ := strings.Cut(found.Remedy, " (or "); found.Severity == "problem" && strings.HasPrefix(command, "postconf ") && !p.notCured {
		run(t, s.root.command("/bin/sh", "-c", command))
		with, without := s.deliver(t, cmp.Or(p.domain, policyDomain), false)
		if left := s.doctor(t).with("problem"); len(left) > 0 || !with.protected() || without.Status != statusSent {
			t.Errorf("after %q doctor found %v, and mail is %v and %v", command, left, with, without)
		}
		cured = with.String() + ", " + without.String()
	}
	fmt.Fprintf(s.table, "%s\t%s\t%s %s: %.90s\t%v\t%v\t%s\n", p.name, s.version, found.Severity, found.Check, found.Text, with, without, cured)
}

// fate is what becomes of a message.
type fate struct {
	outcome
	stuck bool // the smtp client does not start, and the message waits
}

func (f fate) protected() bool { return f.Status == statusSent && f.TLS == verified.tls }

func (f fate) String() string {
	switch {
	case f.stuck:
		return "stuck"
	case f.Status == "":
		return "-"
	}
	return f.brief()
}

// deliver has Postfix send a message to the domain and one to a domain without a policy.
// stuck is whether the smtp client is expected not to start.
func (s *surgery) deliver(t *testing.T, domain string, stuck bool) (with, without fate) {
	t.Helper()
	s.reload(t)
	lines, _ := s.master.said.snapshot()
	before := len(lines)
	ids := []string{s.send(t, "postmaster@"+domain), s.send(t, "postmaster@"+plainDomain)}
	fates := make([]fate, len(ids))
	for i, id := range ids {
		fates[i] = await(t, s.master, "an outcome for "+id, func(lines []string) (f fate, ok bool) {
			if f.outcome, ok = findOutcome(lines, id, ""); ok {
				return f, true
			}
			f.stuck = stuck && slices.ContainsFunc(lines[before:], smtpEnds.MatchString)
			return f, f.stuck
		})
	}
	if stuck {
		run(t, s.root.command("/usr/sbin/postsuper", "-d", "ALL"))
	}
	return fates[0], fates[1]
}

// smtpEnds is a line of Postfix's log if the smtp client does not start.
var smtpEnds = regexp.MustCompile(` postfix/smtp\[\d+\]: fatal: `)

// inContainer runs doctor where a clock that is not known to be right cannot be set.
func (s *surgery) inContainer(t *testing.T) {
	s.prepare(t, patient{})
	s.root.write(t, ".dockerenv", "")
	for _, f := range s.doctor(t).with("hint") {
		if f.Check == "clock" {
			t.Errorf("in a container: %+v", f)
		}
	}
	s.root.remove(t, ".dockerenv")
}

// withoutDaemon runs doctor when the daemon does not run.
func (s *surgery) withoutDaemon(t *testing.T) {
	s.prepare(t, patient{})
	s.daemon.stop(t)
	report := s.doctor(t)
	report.check(t, finding{Check: "answers", Severity: "problem", Text: "Nobody answers at " + daemonAddr})
	report.check(t, finding{Check: "daemon", Severity: "hint", Text: "not running"})
}

// withoutPostfix runs doctor on a host without Postfix.
func (s *surgery) withoutPostfix(t *testing.T) {
	postconf := filepath.Join(s.root.dir, "usr/sbin/postconf")
	move(t, postconf, postconf+".away")
	report := s.doctor(t)
	move(t, postconf+".away", postconf) // Postfix needs it to stop
	report.check(t, finding{Check: "postfix", Severity: "unknown", Text: "no postconf(1)"})
	if report.exitStatus != 2 {
		t.Errorf("without Postfix: exit status %d", report.exitStatus)
	}
}

func move(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// finding is one of a report.
type finding struct {
	Check    string
	Severity string
	Instance string
	Services []string
	Text     string
	Remedy   string
}

// diagnosis is a report of doctor.
type diagnosis struct {
	Verdict    string
	Findings   []finding
	exitStatus int
}

func (s *surgery) doctor(t *testing.T) diagnosis {
	t.Helper()
	return doctorOf(t, s.root)
}

// doctorOf runs doctor in a root.
func doctorOf(t *testing.T, root *root) (r diagnosis) {
	t.Helper()
	out, err := root.command(daemonPath, "doctor", "--json", "--config", daemonConfig).Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		r.exitStatus = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("doctor printed %q: %v", out, err)
	}
	return r
}

// check verifies that the report has the finding that is wanted, which it returns, no
// problem of another kind, and the right exit status.
func (r diagnosis) check(t *testing.T, want finding) (found finding) {
	t.Helper()
	has := func(f finding) bool {
		return f.Check == want.Check && f.Severity == want.Severity && strings.Contains(f.Text, want.Text) &&
			slices.Equal(f.Services, want.Services)
	}
	if i := slices.IndexFunc(r.Findings, has); i < 0 {
		t.Errorf("not found: %+v in\n%v", want, r)
	} else {
		found = r.Findings[i]
	}
	problems := r.with("problem")
	for _, f := range problems {
		if f.Check != want.Check && want.Severity == "problem" || want.Severity == "ok" {
			t.Errorf("found too: %+v", f)
		}
	}
	if (r.exitStatus == 1) != (len(problems) > 0) || (r.Verdict == "mail suffers") != (len(problems) > 0) {
		t.Errorf("problems: %d, exit status %d, verdict %q", len(problems), r.exitStatus, r.Verdict)
	}
	return found
}

// with are the findings of a severity.
func (r diagnosis) with(severity string) (found []finding) {
	for _, f := range r.Findings {
		if f.Severity == severity {
			found = append(found, f)
		}
	}
	return found
}

func (r diagnosis) String() string {
	var b strings.Builder
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "%s %s %v: %s\n", f.Check, f.Severity, f.Services, f.Text)
	}
	return b.String()
}
