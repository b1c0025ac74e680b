package outcomes_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mta-sts-daemon/cmd/internal/outcomes"
)

// sentLine is a delivery line of a message of its own.
func sentLine(queueID int) string {
	return fmt.Sprintf("Nov 28 17:49:58 mail postfix/smtp[1]: Q%d: to=<x@a.test>, relay=mx.a.test[192.0.2.1]:25, delay=1, dsn=2.0.0, status=sent (250 ok)", queueID)
}

func zipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// write writes files below a new directory, which it returns.
func write(t *testing.T, files map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// A TLS line at the end of one file belongs to the delivery line at the beginning
// of the next: only in the right order is each delivery verified.
func TestReadFilesInRotationOrder(t *testing.T) {
	t.Parallel()
	for _, names := range [][]string{
		{"mail.log.10.gz", "mail.log.2.gz", "mail.log.1", "mail.log"},
		{"mail.log.20261127", "mail.log.20261128-000001", "mail.log.20261128-120000.gz", "mail.log"},
		{"maillog-20261121.gz", "maillog-20261128", "maillog"},
		{"a.log.1", "a.log", "b-1.log.1", "b-1.log"},
	} {
		files := make(map[string]string)
		for i, name := range names {
			text := smtp1 + verifiedMX
			if i > 0 {
				text = sentLine(i) + "\n" + text
			}
			if strings.HasSuffix(name, ".gz") {
				text = zipped(t, text)
			}
			files[name] = text
		}
		dir := write(t, files)
		// In the order of a shell's glob, except between different logs.
		var globbed []string
		for _, base := range []string{"a", "b", "m"} {
			matches, err := filepath.Glob(filepath.Join(dir, base+"*"))
			if err != nil {
				t.Fatal(err)
			}
			globbed = append(globbed, matches...)
		}
		tally := outcomes.NewTally(outcomes.Options{})
		if err := outcomes.ReadFiles(context.Background(), tally, globbed); err != nil {
			t.Fatal(err)
		}
		n := uint64(len(names) - 1)
		if diff := cmp.Diff(map[string]uint64{"unknown verified sent": n, "messages sent": n}, counts(tally.Summary())); diff != "" {
			t.Errorf("%v: -want +got\n%s", names, diff)
		}
	}
}

func TestRotated(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{
		"mail.log": "", "mail.log.1": "", "mail.log.2.gz": "", "mail.log-20261128": "", "mail.log.20261128-120000": "",
		"mail.log.old": "", "mail.log.1.bak": "", "mail.logs": "", "mail.err.1": "", "mail.log.1.1": "",
	})
	got := make(map[string]bool)
	for _, name := range outcomes.Rotated(filepath.Join(dir, "mail.log")) {
		got[filepath.Base(name)] = true
	}
	want := map[string]bool{"mail.log": true, "mail.log.1": true, "mail.log.2.gz": true, "mail.log-20261128": true, "mail.log.20261128-120000": true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestUnreadable(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{
		"mail.log": "", "mail.log.1": "", "mail.log.2.gz": "", "mail.log.3.xz": "", "mail.log-20261128.bz2": "", "mail.log.20261127-120000.zst": "",
		"mail.log.xz": "", "mail.log.old.xz": "", "mail.err.1.xz": "", "mail.log.4.lz4": "",
	})
	got := make(map[string]bool)
	for _, name := range outcomes.Unreadable(filepath.Join(dir, "mail.log")) {
		got[filepath.Base(name)] = true
	}
	want := map[string]bool{"mail.log.3.xz": true, "mail.log-20261128.bz2": true, "mail.log.20261127-120000.zst": true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestReadFilesErrors(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{
		"cut.gz":  zipped(t, strings.Repeat(sentLine(1)+"\n", 1000))[:100],
		"bad.gz":  "\x1f\x8b nothing",
		"log.xz":  "\xfd7zXZ\x00\x00\x04 and so on",
		"log.zst": "\x28\xb5\x2f\xfd and so on",
		"log.bz2": "BZh91AY and so on",
	})
	for name, want := range map[string]string{
		"cut.gz":  "unexpected EOF",
		"bad.gz":  "gzip: invalid header",
		"log.xz":  "this compression is not read here: xzcat FILE | mta-sts-daemon outcomes -",
		"log.zst": "this compression is not read here: zstdcat FILE | mta-sts-daemon outcomes -",
		"log.bz2": "this compression is not read here: bzcat FILE | mta-sts-daemon outcomes -",
		"missing": "no such file or directory",
	} {
		name := filepath.Join(dir, name)
		err := outcomes.ReadFiles(context.Background(), outcomes.NewTally(outcomes.Options{}), []string{name})
		if err == nil || err.Error() != name+": "+want {
			t.Errorf("got %v, want %s: %s", err, name, want)
		}
	}
}

// A line of any length takes no more memory than the limit, and the next one
// counts.
func TestLongLines(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1 << 15, 1<<16 - 1, 1 << 16, 1<<16 + 1, 1 << 20} {
		dir := write(t, map[string]string{"log": strings.Repeat("x", n) + sentLine(1) + "\n" + sentLine(2) + "\n" + sentLine(3)})
		tally := outcomes.NewTally(outcomes.Options{})
		if err := outcomes.ReadFiles(context.Background(), tally, []string{filepath.Join(dir, "log")}); err != nil {
			t.Fatal(err)
		}
		if got := counts(tally.Summary())["messages sent"]; got != 2 {
			t.Errorf("after a line of %d bytes and more: %d messages, want 2", n, got)
		}
	}
}
