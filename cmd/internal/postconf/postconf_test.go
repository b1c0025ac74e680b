package postconf

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fake puts a shell script in postconf's place and returns its path.
func fake(t *testing.T, dir, script string) string {
	t.Helper()
	path := filepath.Join(dir, command)
	// Between the write and the exec, another test's fork may hold the file
	// open for writing (ETXTBSY); the lock of forks keeps it out.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestGet(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		title, script string
		want          map[string]string
	}{
		{"values", "echo 'mail_name = Postfix'\necho 'mail_version = 3.7.11'\n", map[string]string{"mail_name": "Postfix", "mail_version": "3.7.11"}},
		{"empty value", "echo 'mail_name ='\n", map[string]string{"mail_name": ""}},
		{"equals sign in it", "echo 'mail_name = a = b'\n", map[string]string{"mail_name": "a = b"}},
		{"unknown parameter", "echo 'postconf: warning: mail_name: unknown parameter' >&2\n", map[string]string{}},
		{"its arguments", `echo "mail_name = $*"`, map[string]string{"mail_name": "-x mail_name mail_version $(x)"}},
	} {
		t.Run(tt.title, func(t *testing.T) {
			t.Parallel()
			c := Command{Path: fake(t, t.TempDir(), tt.script)}
			got, err := c.Get(t.Context(), "mail_name", "mail_version", "$(x)")
			if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
				t.Errorf("error %v, (-want +got)\n%s", err, diff)
			}
		})
	}
}

func TestGetFailures(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		title, script string
		want          error
		says          string
	}{
		{"hangs", "exec sleep 60\n", ErrTimeout, "postconf hangs: "},
		{"hangs with a child", "sleep 20\n", ErrTimeout, "did not end within 100ms"},
		{"prints and hangs", "echo 'mail_name = x'\nexec sleep 60\n", ErrTimeout, ""},
		{"prints something else", "echo hello\n", ErrOutput, `: "hello"`},
		{"prints another parameter", "echo 'mail_version = x'\n", ErrOutput, `: "mail_version = x"`},
		{"prints bytes", `printf '\033[31m\377\n'`, ErrOutput, `: "\x1b[31m\xff"`},
		{"prints without end", "exec yes 'mail_name = x'\n", ErrOutput, "more than 65536 bytes"},
		{"warns without end", "exec yes >&2\n", ErrOutput, "more than 65536 bytes"},
	} {
		t.Run(tt.title, func(t *testing.T) {
			t.Parallel()
			c := Command{Path: fake(t, t.TempDir(), tt.script), Timeout: 100 * time.Millisecond}
			if tt.want != ErrTimeout {
				c.Timeout = 10 * time.Second
			}
			begin := time.Now()
			got, err := c.Get(t.Context(), "mail_name")
			if d := time.Since(begin); d > 15*time.Second {
				t.Errorf("took %v", d)
			}
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, error %v; want %v, %q", got, err, tt.want, tt.says)
			}
		})
	}
}

func TestExitError(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		title, script, status, said string
	}{
		{"says why", "echo warning >&2\necho 'postconf: fatal: open /etc/postfix/main.cf: Permission denied' >&2\nexit 1\n",
			"exit status 1", `"postconf: fatal: open /etc/postfix/main.cf: Permission denied"`},
		{"says nothing", "exit 3\n", "exit status 3", ""},
		{"says it in bytes", `printf '\n\303\274\007\n' >&2; exit 1`, "exit status 1", `"\u00fc\a"`},
		{"says much", "printf '%01000d' 0 >&2; exit 1", "exit status 1", `"` + strings.Repeat("0", maxQuoted) + `"...`},
		{"killed", "kill -KILL $$\n", "signal: killed", ""},
		{"after good output", "echo 'mail_name = x'\nexit 1\n", "exit status 1", ""},
	} {
		t.Run(tt.title, func(t *testing.T) {
			t.Parallel()
			path := fake(t, t.TempDir(), tt.script)
			_, err := Command{Path: path}.Get(t.Context(), "mail_name")
			var got *ExitError
			if !errors.As(err, &got) {
				t.Fatalf("error %v", err)
			}
			if diff := cmp.Diff(&ExitError{Path: path, Status: tt.status, Said: tt.said}, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if !strings.HasPrefix(err.Error(), path+": "+tt.status) || !strings.HasSuffix(err.Error(), tt.said) {
				t.Errorf("error %q", err)
			}
		})
	}
}

func TestNotStarted(t *testing.T) {
	t.Parallel()
	path := fake(t, t.TempDir(), "")
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := (Command{Path: path}).Get(t.Context(), "mail_name"); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("not executable: error %v", err)
	}
	if _, err := (Command{Path: path + ".none"}).Get(t.Context(), "mail_name"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("not there: error %v", err)
	}
}

// TestGivenUp: the caller's reason is the error, not a time limit.
func TestGivenUp(t *testing.T) {
	t.Parallel()
	enough := errors.New("enough")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, enough)
	defer cancel()
	if _, err := (Command{Path: fake(t, t.TempDir(), "exec sleep 60\n")}).Get(ctx, "mail_name"); !errors.Is(err, enough) || errors.Is(err, ErrTimeout) {
		t.Errorf("error %v", err)
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	empty, notExecutable, good := t.TempDir(), t.TempDir(), t.TempDir()
	path := fake(t, good, "echo 'mail_name = found'\n")
	if err := os.Chmod(fake(t, notExecutable, ""), 0o600); err != nil {
		t.Fatal(err)
	}
	c := Command{testingOnlyDirs: []string{"", ".", empty, notExecutable, good}}
	if got, err := c.find(); err != nil || got != path {
		t.Errorf("found %q, error %v", got, err)
	}
	if got, err := c.Get(t.Context(), "mail_name"); err != nil || got["mail_name"] != "found" {
		t.Errorf("got %v, error %v", got, err)
	}
	for _, dirs := range [][]string{{}, {empty}, {notExecutable}, {filepath.Join(empty, "none")}} {
		if _, err := (Command{testingOnlyDirs: dirs}).Get(t.Context(), "mail_name"); !errors.Is(err, ErrNotFound) {
			t.Errorf("in %q: error %v", dirs, err)
		}
	}
}

// TestFindInPATH: the zero Command looks in PATH first.
func TestFindInPATH(t *testing.T) {
	dir := t.TempDir()
	path := fake(t, dir, "")
	// A relative directory in PATH is passed over, whoever wrote what lies there.
	working := t.TempDir()
	if err := os.Mkdir(filepath.Join(working, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	fake(t, working, "")
	fake(t, filepath.Join(working, "bin"), "")
	t.Chdir(working)
	t.Setenv("PATH", strings.Join([]string{"", ".", "bin", "/nonexistent", dir}, string(filepath.ListSeparator)))
	if got, err := (Command{}).find(); err != nil || got != path {
		t.Errorf("found %q, error %v", got, err)
	}
}
