// Package isolated runs the tests of a package as root in namespaces of their
// own, next to the program they test and unpacked trees of Debian. Nothing of the
// host changes, except that mmdebstrap is installed if it is missing. If the
// tests cannot run, they skip themselves and name the reason.
package isolated

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"mta-sts-daemon/e2e/internal/namespace"
)

// EnvWorkDir is the variable with the directory that Build was given. It is set
// inside the namespaces only.
const EnvWorkDir = "E2E_WORKDIR"

// envUnpack is set by "make test" to unpack the trees and run no test.
const envUnpack = "E2E_UNPACK"

// envProbe is set for a process that only finds out if the namespaces allow what the tests need.
const envProbe = "E2E_PROBE"

// What else the outer process tells the inner one.
const (
	envSkip    = "E2E_SKIP"      // why the tests cannot run here
	envLeftOut = "E2E_LEFT_OUT_" // and the name of a tree: why it is not available
)

// Package is a package of tests.
type Package struct {
	// Name is its path in the project.
	Name string
	// Namespaces are flags of clone(2), in addition to network, mounts and processes.
	Namespaces uintptr
	// Missing returns what the host lacks apart from root, namespaces and mmdebstrap,
	// or "". Nil means nothing.
	Missing func() string
	// Probe tries, in new namespaces, what else the tests need there. Nil means nothing.
	Probe func() error
	// Build puts what the tests need of the project into workDir.
	Build func(workDir string) error
	Trees []Tree
	// Furnish completes the new namespaces, where mounts are private. All files
	// of a run are in scratch, which is in memory, as is TMPDIR.
	Furnish func(scratch string) error
	// Apart matches tests that take long. If all tests of the package run, these run in parallel
	// with the others, in namespaces of their own.
	Apart string
}

// Main prepares what needs the host, its network, Go tool and package archive,
// and then runs this binary again in namespaces, in which the tests run. If that is
// impossible, the tests run here, and those that Need it skip themselves. Main is for
// TestMain, and returns the exit code.
func (p Package) Main(m *testing.M) (code int) {
	if workDir := os.Getenv(EnvWorkDir); workDir != "" {
		if err := p.furnish(filepath.Join(workDir, "scratch")); err != nil {
			fmt.Fprintf(os.Stderr, "%s: in the new namespaces: %v\n", p.Name, err)
			return 1
		}
		return m.Run()
	}
	if os.Getenv(envProbe) != "" {
		return p.probe()
	}
	os.Remove(p.leftOutFile())
	if reason := p.missing(); reason != "" {
		p.LeaveOut(reason)
		return m.Run()
	}
	if os.Getenv(envUnpack) != "" {
		if err := p.unpack(); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", p.Name, err)
			return 1
		}
		return 0
	}
	code, err := p.outside()
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", p.Name, err)
		return 1
	}
	return code
}

// outside builds and unpacks, then runs the tests in their namespaces.
func (p Package) outside() (code int, err error) {
	workDir, err := os.MkdirTemp("", "mta-sts-e2e-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(workDir)
	if err := p.Build(workDir); err != nil {
		return 0, err
	}
	if err := p.unpack(); err != nil {
		return 0, err
	}
	if p.Apart == "" || selects(os.Args[1:]) {
		return p.run(workDir, os.Stdout, os.Args[1:]...)
	}
	return p.runApart(workDir)
}

// run runs the tests in namespaces of their own.
func (p Package) run(workDir string, out io.Writer, args ...string) (code int, err error) {
	inner := namespace.Self(args...)
	inner.Env = append(inner.Env, EnvWorkDir+"="+workDir)
	inner.Stdout, inner.Stderr = out, out
	return namespace.Run(inner, namespace.Own(p.Namespaces), (*exec.Cmd).Start)
}

// runApart runs the tests of Apart in parallel with the others. Their output follows that of the
// others, because "go test" reads one at a time.
func (p Package) runApart(workDir string) (code int, err error) {
	// "go test" reads one log of the files that the tests used.
	args := slices.DeleteFunc(slices.Clone(os.Args[1:]), func(arg string) bool { return strings.HasPrefix(arg, "-test.testlogfile=") })
	var out bytes.Buffer
	var apart errgroup.Group
	var apartCode int
	apart.Go(func() (err error) {
		apartCode, err = p.run(workDir, &out, append(args, "-test.run="+p.Apart)...)
		return err
	})
	code, err = p.run(workDir, os.Stdout, append(os.Args[1:], "-test.skip="+p.Apart)...)
	err = errors.Join(err, apart.Wait())
	os.Stdout.Write(out.Bytes())
	return max(code, apartCode), err
}

// selects reports whether the arguments of a test binary choose tests.
func selects(args []string) bool {
	return slices.ContainsFunc(args, func(arg string) bool {
		return strings.HasPrefix(arg, "-test.run=") || strings.HasPrefix(arg, "-test.skip=") || strings.HasPrefix(arg, "-test.list=") ||
			strings.HasPrefix(arg, "-test.bench=")
	})
}

// unpack makes sure that all trees exist. The optional ones that are not available are left out.
func (p Package) unpack() error {
	for _, tree := range p.Trees {
		err := tree.unpack()
		if err != nil && !tree.Optional {
			return err
		}
		if err != nil {
			p.NoteLeftOut(fmt.Sprintf("all tests on %s (Debian %s): %v", tree.Name, tree.Suite, err))
			os.Setenv(envLeftOut+tree.Name, "it cannot be unpacked")
		}
	}
	return nil
}

func (p Package) furnish(scratch string) error {
	if err := namespace.Furnish(); err != nil {
		return err
	}
	if err := os.MkdirAll(scratch, 0o755); err != nil { // the mount below is private
		return err
	}
	if err := unix.Mount("tmpfs", scratch, "tmpfs", 0, "mode=0755"); err != nil {
		return fmt.Errorf("mounting tmpfs: %w", err)
	}
	if err := os.Setenv("TMPDIR", scratch); err != nil {
		return err
	}
	return p.Furnish(scratch)
}

// LeaveOut skips all tests that Need the package, and notes why. Furnish may call it.
func (p Package) LeaveOut(reason string) {
	p.NoteLeftOut("all of " + p.Name + ": " + reason)
	os.Setenv(envSkip, reason)
}

// NoteLeftOut says what is not tested, now and when "make test" ends, because "go
// test" shows nothing of a package that passes.
func (p Package) NoteLeftOut(what string) {
	line := p.Name + ": LEFT OUT, " + what + "\n"
	fmt.Print(line)
	if err := os.MkdirAll(filepath.Dir(p.leftOutFile()), 0o755); err != nil {
		return
	}
	if f, err := os.OpenFile(p.leftOutFile(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644); err == nil {
		f.WriteString(line)
		f.Close()
	}
}

func (p Package) leftOutFile() string {
	return filepath.Join(Repository(), buildDir, "left-out-"+path.Base(p.Name))
}
