// Package postfix runs a real Postfix for benchmarks: the one of an unpacked Debian,
// in a root of its own with its queue in memory. Messages are put on hold first, so
// that their delivery can be measured without their arrival.
package postfix

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"mta-sts-daemon/e2e/bench/internal/proc"
	"mta-sts-daemon/e2e/internal/isolated"
)

const (
	// listen is where Postfix accepts messages.
	listen = "127.0.0.1:10025"
	// patience is how long Postfix may take to start, to end, and without a delivery.
	patience = time.Minute
)

// OneAtATime is a setting that has a single smtp process deliver all mail.
const OneAtATime = "default_transport = single"

// services are lines of master.cf that add to Debian's. smtp_tls_connection_reuse needs
// tlsproxy.
const services = listen + ` inet n - y - - smtpd
single unix - - - - 1 smtp
tlsproxy unix - - y - 0 tlsproxy
`

// Root is a private copy of an unpacked Debian with Postfix.
type Root struct {
	dir string
}

// NewRoot finds the tree of a Debian release in trees, which is the directory of the
// end-to-end tests, and makes a copy in dir, which lasts as long as the mount namespace.
// ca is the file with the authority that Postfix trusts.
func NewRoot(trees, suite, dir, ca string) (*Root, error) {
	found, err := filepath.Glob(filepath.Join(trees, suite+"-*", "usr/share/postfix/master.cf.dist"))
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no Debian %s with Postfix in %s: E2E_UNPACK=1 go test ./e2e unpacks it", suite, trees)
	}
	tree := strings.TrimSuffix(found[0], "/usr/share/postfix/master.cf.dist")
	if tree, err = filepath.Abs(tree); err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=0755"); err != nil {
		return nil, fmt.Errorf("mounting tmpfs: %w", err)
	}
	r := &Root{}
	if r.dir, err = isolated.MountLayer(tree, dir); err != nil {
		return nil, err
	}
	if err := unix.Mount("proc", filepath.Join(r.dir, "proc"), "proc", 0, ""); err != nil { // /dev/stdout is a link into it
		return nil, fmt.Errorf("mounting /proc: %w", err)
	}
	master, err := os.ReadFile(filepath.Join(r.dir, "etc/postfix/master.cf"))
	if err != nil {
		return nil, err
	}
	authority, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	// The smtp client of bookworm and trixie runs in a chroot, for which Debian copies
	// files when Postfix starts.
	const resolver = "nameserver 127.0.0.1\n"
	return r, errors.Join(
		r.write("etc/postfix/master.cf", string(master)+services),
		r.write("etc/postfix/ca.pem", string(authority)),
		r.write("etc/resolv.conf", resolver),
		r.write("var/spool/postfix/etc/resolv.conf", resolver),
	)
}

// write puts a file into the root. Its time is set back, because Postfix waits for
// files that have just changed.
func (r *Root) write(name, text string) error {
	path := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return err
	}
	return os.Chtimes(path, time.Time{}, time.Now().Add(-time.Hour))
}

func (r *Root) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: r.dir}
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	return cmd
}

func (r *Root) run(name string, args ...string) error {
	if out, err := r.command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}

// Postfix is a Postfix under way.
type Postfix struct {
	root *Root
	log  *log
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// Start starts Postfix on a processor with Postfix's defaults. settings are lines of
// main.cf that add to these.
func (r *Root) Start(cpu int, settings ...string) (*Postfix, error) {
	if err := r.write("etc/postfix/main.cf", strings.Join(append([]string{
		"compatibility_level = 3.6",
		"maillog_file = /dev/stdout",
		"myhostname = client.test",
		"mydestination =",
		"alias_maps =",
		"inet_interfaces = 127.0.0.1",
		"inet_protocols = ipv4",
		"smtpd_peername_lookup = no",
		"smtpd_recipient_restrictions = check_recipient_access static:HOLD, permit_mynetworks, reject",
		"smtp_tls_CAfile = /etc/postfix/ca.pem",
		"smtp_tls_servername = hostname", // all MX hosts have one address
		"smtp_tls_loglevel = 1",
		"delay_logging_resolution_limit = 6",
	}, settings...), "\n")+"\n"); err != nil {
		return nil, err
	}
	p := &Postfix{root: r, log: newLog(), cmd: r.command("/usr/sbin/postfix", "start-fg"), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	// master(8) is the first process there: the kernel ends all others with it.
	p.cmd.SysProcAttr.Cloneflags = unix.CLONE_NEWPID
	if err := proc.Start(p.cmd, cpu); err != nil {
		return nil, err
	}
	go func() {
		p.cmd.Wait() // what matters is in the log
		close(p.done)
	}()
	if err := p.await(func(s *seen) bool { return s.version != "" }); err != nil {
		return nil, errors.Join(fmt.Errorf("starting Postfix: %w", err), p.Stop())
	}
	return p, nil
}

// Version is Postfix's own.
func (p *Postfix) Version() (version string) {
	p.log.look(func(s *seen) { version = s.version })
	return version
}

// Stop ends Postfix.
func (p *Postfix) Stop() error {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return nil
	case <-time.After(patience):
		return errors.Join(errors.New("Postfix does not end"), p.cmd.Process.Kill())
	}
}

// await waits until enough accepts the state of the log. Mail that cannot be delivered at
// once is an error.
func (p *Postfix) await(enough func(*seen) bool) error {
	silence := time.NewTimer(patience)
	defer silence.Stop()
	for {
		var reached bool
		var failure string
		var grown <-chan struct{}
		p.log.look(func(s *seen) { reached, failure, grown = enough(s), s.failure, s.grown })
		switch {
		case failure != "":
			return errors.New(failure)
		case reached:
			return nil
		}
		select {
		case <-grown:
			silence.Reset(patience)
		case <-p.done:
			return p.unexpected("Postfix has ended")
		case <-silence.C:
			return p.unexpected("Postfix does nothing for %v", patience)
		}
	}
}

// unexpected is an error with the end of the log.
func (p *Postfix) unexpected(format string, args ...any) (err error) {
	p.log.look(func(s *seen) {
		err = fmt.Errorf(format+"; its last lines:\n%s", append(args, strings.Join(s.lines, "\n"))...)
	})
	return err
}
