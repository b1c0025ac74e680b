package postconf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// postfix is a Postfix whose main.cf is in dir; the fake postconf prints the
// requested parameters from there, as the real one does.
func postfix(t *testing.T, dir, mainCF string) Command {
	t.Helper()
	writeMainCF(t, dir, mainCF)
	return Command{Path: fake(t, t.TempDir(), fmt.Sprintf(`
shift # -x
for name; do
	if [ "$name" = config_directory ]; then echo "config_directory = %[1]s"; else grep "^$name " %[1]s/main.cf; fi
done
exit 0
`, dir))}
}

func writeMainCF(t *testing.T, dir, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "main.cf"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, tt := range []struct {
		mainCF string
		want   Settings
		dane   bool
	}{
		{"smtp_dns_support_level = dnssec\nignore_mx_lookup_error = no\nsmtp_tls_security_level = dane\nsmtp_tls_dane_insecure_mx_policy = dane\n",
			Settings{DNSSupportLevel: "dnssec", TLSSecurityLevel: "dane", DANEInsecureMXPolicy: "dane"}, true},
		{"smtp_dns_support_level = DNSSEC\nignore_mx_lookup_error = no\nsmtp_tls_security_level = may\nsmtp_tls_dane_insecure_mx_policy = may\n",
			Settings{DNSSupportLevel: "DNSSEC", TLSSecurityLevel: "may", DANEInsecureMXPolicy: "may"}, true},
		{"smtp_dns_support_level = dnssec\nignore_mx_lookup_error = Yes\n",
			Settings{DNSSupportLevel: "dnssec", IgnoreMXLookupError: true}, false},
		{"smtp_dns_support_level = enabled\nsmtp_tls_security_level = dane\n",
			Settings{DNSSupportLevel: "enabled", TLSSecurityLevel: "dane"}, false},
		{"smtp_dns_support_level =\nignore_mx_lookup_error = no\nsmtp_tls_security_level =\n", Settings{}, false},
		{"", Settings{}, false}, // a Postfix that knows none of them
	} {
		tt.want.ConfigDirectory = dir
		got, err := postfix(t, dir, tt.mainCF).Settings(t.Context())
		if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreUnexported(Settings{})); err != nil || diff != "" {
			t.Errorf("%q: error %v, (-want +got)\n%s", tt.mainCF, err, diff)
		}
		if got.DoesDANE() != tt.dane {
			t.Errorf("%q: DoesDANE %v", tt.mainCF, got.DoesDANE())
		}
		if want := filepath.Join(dir, "main.cf"); got.MainCF() != want {
			t.Errorf("main.cf is %s; want %s", got.MainCF(), want)
		}
	}
}

func TestSettingsFailures(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if got, err := postfix(t, dir+"/.", "").Settings(t.Context()); err != nil || got.Changed() {
		t.Errorf("well: got %v, error %v", got, err)
	}
	for title, tt := range map[string]struct {
		script string
		want   error
	}{
		"no config_directory":       {"", ErrOutput},
		"relative config_directory": {"echo 'config_directory = postfix'", ErrOutput},
		"no main.cf":                {fmt.Sprintf("echo 'config_directory = %s/none'", dir), fs.ErrNotExist},
		"garbage, the second time":  {fmt.Sprintf("[ $2 = config_directory ] && echo 'config_directory = %s' || echo garbage", dir), ErrOutput},
	} {
		got, err := Command{Path: fake(t, t.TempDir(), tt.script)}.Settings(t.Context())
		if !errors.Is(err, tt.want) || got != (Settings{}) {
			t.Errorf("%s: got %v, error %v; want %v", title, got, err, tt.want)
		}
	}
	if _, err := (Command{testingOnlyDirs: []string{}}).Settings(t.Context()); !errors.Is(err, ErrNotFound) {
		t.Errorf("no Postfix: error %v", err)
	}
}

func TestChanged(t *testing.T) {
	t.Parallel()
	if !(Settings{}).Changed() {
		t.Error("settings that were never read have not changed")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "main.cf")
	c := postfix(t, dir, "smtp_dns_support_level = dnssec\n")
	for _, step := range []struct {
		title  string
		change func() error
		want   bool
	}{
		{"nothing", func() error { return nil }, false},
		{"length", func() error {
			old, err := os.Stat(path)
			if err != nil {
				return err
			}
			writeMainCF(t, dir, "smtp_dns_support_level = enabled\n")
			return os.Chtimes(path, time.Time{}, old.ModTime())
		}, true},
		{"time", func() error { return os.Chtimes(path, time.Time{}, time.Now().Add(time.Hour)) }, true},
		{"another file of the same length and time", func() error {
			old, err := os.Stat(path)
			if err != nil {
				return err
			}
			if err := os.Rename(path, path+".old"); err != nil {
				return err
			}
			writeMainCF(t, dir, "smtp_dns_support_level = ENABLED\n")
			return os.Chtimes(path, time.Time{}, old.ModTime())
		}, true},
		{"gone", func() error { return os.Rename(path, path+".away") }, true},
	} {
		s, err := c.Settings(t.Context())
		if err != nil {
			t.Fatalf("before %s: %v", step.title, err)
		}
		if err := step.change(); err != nil {
			t.Fatalf("%s: %v", step.title, err)
		}
		if got := s.Changed(); got != step.want {
			t.Errorf("%s: changed %v", step.title, got)
		}
	}
}
