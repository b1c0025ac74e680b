package e2e

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// suite is a release of Debian.
type suite string

const (
	bookworm suite = "bookworm" // Postfix 3.7; nearly all other programs are this one's
	trixie   suite = "trixie"   // Postfix 3.10, Valkey
	forky    suite = "forky"    // Postfix 3.11
)

// suites are all that the tests use, in order of age.
func suites() []suite { return []suite{bookworm, trixie, forky} }

// optional tells whether the tests can do without s: where it cannot be had
// they name it as left out.
func (s suite) optional() bool { return s != bookworm }

// What a tree holds: the programs under which the daemon works, and what their
// scripts call.
const (
	treeOthers  = ",unbound,knot,prometheus,redis-server,iproute2" // of bookworm
	treeValkey  = ",valkey-server,iproute2"                        // of trixie
	treeScripts = ",dash,coreutils,sed,grep,findutils,diffutils,libc-bin,base-files,perl-base"

	treePasswd = "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\npostfix:x:100:102::/var/spool/postfix:/bin/false\n"
	treeGroup  = "root:x:0:\nnogroup:x:65534:\npostfix:x:102:\npostdrop:x:103:\n"

	postfixGroup = 102 // of treeGroup

	treeRevision = "1" // to be raised when unpack or prepare change
)

func (s suite) packages() string {
	switch s {
	case bookworm:
		return "postfix" + treeOthers + treeScripts
	case trixie:
		return "postfix" + treeValkey + treeScripts
	}
	return "postfix" + treeScripts
}

// dir is where the unpacked tree of s is kept from one run to the next.
func (s suite) dir() string {
	contents := sha256.Sum256([]byte(s.packages() + treePasswd + treeGroup + treeRevision))
	return filepath.Join(repository(), "build", "e2e", "roots", fmt.Sprintf("%s-%x", s, contents[:6]))
}

// unpack makes sure that the tree is there. Runs side by side wait for the one
// that unpacks; what a killed one left half done is thrown away.
func (s suite) unpack() error {
	dir := s.dir()
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	lock, err := os.Create(dir + ".lock")
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("locking %s: %w", lock.Name(), err)
	}
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	fmt.Printf("e2e: unpacking Postfix of Debian %s below build/e2e, once\n", s)
	half := dir + ".unpacking"
	if err := os.RemoveAll(half); err != nil {
		return err
	}
	mmdebstrap := exec.Command("mmdebstrap", "--mode=root", "--variant=extract", "--format=directory",
		"--aptopt=APT::Install-Recommends \"false\"", "--aptopt=Acquire::Check-Valid-Until \"false\"",
		"--include="+s.packages(), string(s), half)
	mmdebstrap.ExtraFiles = []*os.File{lock} // should this process be killed, the lock lasts as long as mmdebstrap
	if out, err := mmdebstrap.CombinedOutput(); err != nil {
		return fmt.Errorf("unpacking Debian %s: mmdebstrap: %w\n%s", s, err, out)
	}
	if err := prepare(half); err != nil {
		return fmt.Errorf("preparing %s: %w", half, err)
	}
	return os.Rename(half, dir)
}

// prepare does what the packages' installation scripts would have done. They
// have not run: nothing of Debian is started on the host.
func prepare(dir string) error {
	if err := os.Chmod(dir, 0o755); err != nil { // Postfix's own user must get in
		return err
	}
	master, err := os.ReadFile(filepath.Join(dir, "usr/share/postfix/master.cf.dist"))
	if err != nil {
		return err
	}
	for name, text := range map[string]string{
		"etc/passwd":                 treePasswd,
		"etc/group":                  treeGroup,
		"etc/postfix/main.cf":        "compatibility_level = 3.6\n",
		"etc/postfix/master.cf":      withoutSMTPServer(string(master)),
		"etc/postfix/dynamicmaps.cf": "",
		// set-permissions wants to see these, whatever is in them.
		"etc/postfix/main.cf.proto":   "",
		"etc/postfix/master.cf.proto": "",
		"etc/postfix/makedefs.out":    "",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	for _, cmd := range []*exec.Cmd{
		chrooted(dir, "/sbin/ldconfig"),
		chrooted(dir, "/usr/sbin/postfix", "set-permissions"),
	} {
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%v: %w\n%s", cmd.Args, err, out)
		}
	}
	return nil
}

// withoutSMTPServer takes the smtpd service out of a master.cf: mail comes in
// by the sendmail command, and port 25 belongs to the sinks.
func withoutSMTPServer(master string) string {
	var kept []string
	for line := range strings.Lines(master) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "smtp" && fields[1] == "inet" {
			continue
		}
		kept = append(kept, line)
	}
	return strings.Join(kept, "")
}
