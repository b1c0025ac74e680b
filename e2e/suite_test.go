package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"mta-sts-daemon/e2e/internal/isolated"
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

// What a tree holds: the programs under which the daemon works, and what their
// scripts call.
const (
	treeOthers  = ",unbound,knot,prometheus,redis-server,iproute2,nginx" // of bookworm
	treeValkey  = ",valkey-server,iproute2"                              // of trixie
	treeCaddy   = ",caddy"                                               // of forky
	treeScripts = ",dash,coreutils,sed,grep,findutils,diffutils,libc-bin,base-files,perl-base"

	postfixGroup = 102 // of isolated.Group

	treeRevision = "1" // to be raised when prepare changes
)

func (s suite) packages() string {
	switch s {
	case bookworm:
		return "postfix" + treeOthers + treeScripts
	case trixie:
		return "postfix" + treeValkey + treeScripts
	}
	return "postfix" + treeCaddy + treeScripts
}

// tree is Debian's unpacked packages: the tests can do without any but bookworm's.
func (s suite) tree() isolated.Tree {
	return isolated.Tree{
		Suite: string(s), Name: string(s), Variant: "extract", Packages: s.packages(),
		Contents: isolated.Passwd + isolated.Group + treeRevision,
		Prepare:  prepare,
		Optional: s != bookworm,
	}
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
		"etc/passwd":                 isolated.Passwd,
		"etc/group":                  isolated.Group,
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
