package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoad(t *testing.T) {
	t.Parallel()
	c, err := Load(writeFile(t, "answer_timeout: 3s\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.AnswerTimeout != 3*time.Second {
		t.Errorf("answer_timeout is %s, want 3s", c.AnswerTimeout)
	}
}

func TestLoadNamesTheFile(t *testing.T) {
	t.Parallel()
	path := writeFile(t, "\nanswer_timeout: 3\n")
	_, err := Load(path, nil)
	want := path + `:2: answer_timeout: "3" has no unit; write 3s, 3m or 3h`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestLoadMissing(t *testing.T) {
	t.Parallel()
	if _, err := Load(filepath.Join(t.TempDir(), "none.yaml"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
}

func TestLoadDirectory(t *testing.T) {
	t.Parallel()
	if _, err := Load(t.TempDir(), nil); err == nil {
		t.Error("a directory was accepted")
	}
}

func TestLoadTooLarge(t *testing.T) {
	t.Parallel()
	comment := strings.Repeat("#\n", maxFileLen/2)
	if _, err := Load(writeFile(t, comment), nil); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	path := writeFile(t, comment+"#")
	want := path + ": the file is larger than 1024 KiB"
	if _, err := Load(path, nil); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// With aliases every line below would expand to ten times the size of the line
// before it.
func TestAliasBomb(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("a0: &a0 [x]\n")
	for i := 1; i < 20; i++ {
		ten := strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i-1), 10), ",")
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i, i, ten)
	}
	_, err := Parse("f", []byte(b.String()), nil)
	want := "f:1: YAML anchors (&name) are not supported; write the value out\n"
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestErrorsAreBounded(t *testing.T) {
	t.Parallel()
	_, err := Parse("f", []byte(strings.Repeat("no: 1\n", 100*maxErrors)), nil)
	if err == nil || strings.Count(err.Error(), "\n")+1 != maxErrors {
		t.Errorf("got %v, want %d lines", err, maxErrors)
	}
}

func TestErrorIsTyped(t *testing.T) {
	t.Parallel()
	_, err := Parse("f", []byte("mode: enforce\ndns: {timeout: 5}\n"), nil)
	want := Error{"f", 2, "dns.timeout", `"5" has no unit; write 5s, 5m or 5h`}
	if e, ok := errors.AsType[*Error](err); !ok || *e != want {
		t.Errorf("got %#v, want %#v", e, want)
	}
}
