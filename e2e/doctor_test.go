package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestDoctor sets Postfix up well, and badly in each way that doctor knows. It
// runs doctor in Postfix's root and lets Postfix send a message: it must be sent
// verified if doctor finds no problem, and not if it finds one.
func TestDoctor(t *testing.T) {
	w := newSignedWorld(t)
	d := w.addDomain("patient.example", "$D MX 10 mx.$D", "mx.$D A $1")
	w.publishSigned(d.name, d.policy("enforce"))
	w.open(t)
	w.startServers(t, d, public, "")
	for _, s := range suites() {
		t.Run(string(s), func(t *testing.T) {
			s.need(t)
			surgery := openSurgery(t, w.world, s)
			for _, p := range patients() {
				if p.only != nil && !slices.Contains(p.only, s) {
					continue
				}
				t.Run(p.name, func(t *testing.T) { surgery.examine(t, p, "postmaster@"+d.name) })
			}
			surgery.withoutDaemon(t)
			surgery.withoutPostfix(t)
		})
	}
}

// surgery is a Postfix with the daemon in its root.
type surgery struct {
	*postfix
	daemon *daemon
	// The files of a good set-up.
	mainCF   []string // lines
	masterCF string
	agent    string // process id of the smtp client that had the last message
}

// inSurgery are the daemon's settings: it listens for all kinds of tables.
const inSurgery = `listen: {socketmap: ["` + daemonAddr + `", "unix:/var/spool/postfix/mta-sts/sock"], tcp_table: ["` + tcpTableAddr + `"]}`

func openSurgery(t *testing.T, w *world, s suite) *surgery {
	t.Helper()
	p := &surgery{postfix: startPostfix(t, w, s)}
	mainCF := "default_destination_concurrency_failed_cohort_limit = 0\n" // each message is tried
	mainCF += p.root.read(t, "etc/postfix/main.cf")
	p.mainCF = strings.Split(strings.TrimSpace(mainCF), "\n")
	p.masterCF = p.root.read(t, "etc/postfix/master.cf")
	if err := os.Mkdir(filepath.Join(p.root.jail(), "mta-sts"), 0o755); err != nil {
		t.Fatal(err)
	}
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

// prepare sets the surgery up for p, and as it was after the test.
func (s *surgery) prepare(t *testing.T, p patient) {
	t.Helper()
	s.root.write(t, "etc/postfix/main.cf", settingsFile("=", slices.Concat(s.mainCF, p.mainCF)...))
	s.root.write(t, "etc/postfix/master.cf", s.masterCF+p.masterCF)
	s.daemon.configure(t, append([]string{inSurgery}, p.config...)...) // only the doctor reads it now
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
}

func (s *surgery) examine(t *testing.T, p patient, rcpt string) {
	s.prepare(t, p)
	report := s.doctor(t)
	report.check(t, p.want)
	if p.noMail {
		return
	}
	s.reload(t)
	queueID := s.send(t, rcpt)
	got := s.outcome(t, queueID)
	s.agent = await(t, s.master, "a delivery agent", func(lines []string) (string, bool) { return findAgent(lines, queueID) })
	if protected, problems := got.Status == statusSent && got.TLS == verified.tls, report.with("problem"); protected != (len(problems) == 0) {
		t.Errorf("the doctor found %+v, and Postfix says %v", problems, got)
	}
}

// reload puts Postfix's settings in force: the smtp client that goes by those
// before must have ended, or it may take the next message.
func (s *surgery) reload(t *testing.T) {
	t.Helper()
	run(t, s.root.command("/usr/sbin/postfix", "reload"))
	if s.agent == "" {
		return
	}
	tooLong := time.After(patience)
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		if _, err := os.Stat(filepath.Join("/proc", s.agent)); err != nil {
			return
		}
		select {
		case <-again.C:
		case <-tooLong:
			t.Fatal("the smtp client outlives a reload")
		}
	}
}

// withoutDaemon has the doctor come when the daemon is down.
func (s *surgery) withoutDaemon(t *testing.T) {
	s.prepare(t, patient{})
	s.daemon.stop(t)
	report := s.doctor(t)
	report.check(t, finding{Check: "answers", Severity: "problem", Text: "Nobody answers at " + daemonAddr})
	report.check(t, finding{Check: "daemon", Severity: "hint", Text: "not running"})
}

// withoutPostfix has it come to a host that has none.
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

// finding is one finding of doctor.
type finding struct {
	Check    string
	Severity string
	Services []string
	Text     string
	Remedy   string
}

// diagnosis is all that it says.
type diagnosis struct {
	Verdict    string
	Findings   []finding
	exitStatus int
}

// doctor runs it in Postfix's root.
func (s *surgery) doctor(t *testing.T) (r diagnosis) {
	t.Helper()
	out, err := s.root.command(daemonPath, "doctor", "--json", "--config", daemonConfig).Output()
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

// check compares the report with the expected finding: no other problem, and the
// exit status for it.
func (r diagnosis) check(t *testing.T, want finding) {
	t.Helper()
	has := func(f finding) bool {
		return f.Check == want.Check && f.Severity == want.Severity && strings.Contains(f.Text, want.Text) &&
			slices.Equal(f.Services, want.Services)
	}
	if !slices.ContainsFunc(r.Findings, has) {
		t.Errorf("not found: %+v in\n%v", want, r)
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
