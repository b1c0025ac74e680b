package daemon

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"mta-sts-daemon/cmd/internal/journal"
	"mta-sts-daemon/config"
	"mta-sts-daemon/resolver/event"
)

var infoAuto = config.Log{Level: config.LogInfo, Format: config.LogAuto}

func TestLogFormats(t *testing.T) {
	t.Parallel()
	const stamp = `\d{4}-\d\d-\d\dT\S+`
	for _, c := range []struct {
		name      string
		format    config.LogFormat
		isJournal bool
		want      string
	}{
		{"auto without the journal", config.LogAuto, false, `time=` + stamp + ` level=NOTICE msg="Policy changed" domain=a.example`},
		{"text without the journal", config.LogText, false, `time=` + stamp + ` level=NOTICE msg="Policy changed" domain=a.example`},
		{"text into the journal has its time stamps", config.LogText, true, `level=NOTICE msg="Policy changed" domain=a.example`},
		{"json", config.LogJSON, false, `{"time":"` + stamp + `","level":"NOTICE","msg":"Policy changed","domain":"a.example"}`},
		{"json into the journal", config.LogJSON, true, `{"time":"` + stamp + `","level":"NOTICE","msg":"Policy changed","domain":"a.example"}`},
	} {
		var out bytes.Buffer
		l := logTo(&out, &out, c.isJournal, config.Log{Level: config.LogInfo, Format: c.format})
		event.PolicyChanged.Log(slog.New(l), event.Domain("a.example"))
		l.Close()
		if !regexp.MustCompile(`^` + c.want + "\n$").MatchString(out.String()) {
			t.Errorf("%s: %s", c.name, &out)
		}
	}
}

func TestJSONGoesToStdout(t *testing.T) {
	t.Parallel()
	for format, want := range map[config.LogFormat]string{config.LogJSON: "stdout", config.LogText: "stderr", config.LogAuto: "stderr"} {
		var stdout, stderr bytes.Buffer
		l := logTo(&stdout, &stderr, false, config.Log{Format: format})
		event.PolicyChanged.Log(slog.New(l))
		l.Close()
		got := "stderr"
		if stdout.Len() > 0 {
			got = "stdout"
		}
		if got != want || stdout.Len() > 0 && stderr.Len() > 0 {
			t.Errorf("%s: stdout %q, stderr %q", format, &stdout, &stderr)
		}
	}
}

func TestNativeJournalIsAuto(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		format    config.LogFormat
		isJournal bool
		want      bool
	}{
		{config.LogAuto, true, true},
		{config.LogAuto, false, false},
		{config.LogText, true, false},
		{config.LogJSON, true, false},
	} {
		l := logTo(io.Discard, io.Discard, c.isJournal, config.Log{Format: c.format})
		_, native := (*l.inForce.Load()).(*journal.Handler)
		if native != c.want {
			t.Errorf("%s, stderr is the journal %v: native protocol %v", c.format, c.isJournal, native)
		}
		l.Close()
	}
}

// A logger with attributes and groups of its own follows a reload too.
func TestReloadReachesEveryLogger(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l := logTo(&out, &out, false, infoAuto)
	loggers := []*slog.Logger{
		slog.New(l),
		slog.New(l).With("a", 1),
		slog.New(l).WithGroup("g").With("a", 1),
	}
	for _, logger := range loggers {
		if logger.Debug("x"); out.Len() > 0 {
			t.Errorf("debug is logged at level info: %s", &out)
		}
	}
	l.configure(config.Log{Level: config.LogDebug, Format: config.LogJSON})
	for _, logger := range loggers {
		logger.Debug("x", "b", 2)
	}
	l.Close()
	got := regexp.MustCompile(`"time":"[^"]*"`).ReplaceAllString(out.String(), `"time":""`)
	want := strings.Join([]string{
		`{"time":"","level":"DEBUG","msg":"x","b":2}`,
		`{"time":"","level":"DEBUG","msg":"x","a":1,"b":2}`,
		`{"time":"","level":"DEBUG","msg":"x","g":{"a":1,"b":2}}`,
		"",
	}, "\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Loggers made from one logger do not get each other's attributes.
func TestDerivedLoggersAreApart(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l := logTo(&out, &out, true, config.Log{Format: config.LogText})
	parent := slog.New(l).With("a", 1).With("b", 2).With("c", 3)
	first, second := parent.With("first", true), parent.With("second", true)
	first.LogAttrs(context.Background(), slog.LevelInfo, "x")
	second.LogAttrs(context.Background(), slog.LevelInfo, "x")
	l.Close()
	want := "level=INFO msg=x a=1 b=2 c=3 first=true\nlevel=INFO msg=x a=1 b=2 c=3 second=true\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

// Lookups are answered while nobody reads the log.
func TestLogOfAStoppedReader(t *testing.T) {
	t.Parallel()
	for _, format := range []config.LogFormat{config.LogJSON, config.LogText} {
		synctest.Test(t, func(t *testing.T) {
			reader, pipe := io.Pipe()
			l := logTo(pipe, pipe, false, config.Log{Level: config.LogInfo, Format: format})
			logger := slog.New(l)
			const logged = 2000
			for i := range logged { // a deadlock here fails the test
				logger.Info("x", "i", i)
				synctest.Wait()
			}
			read := make(chan []byte)
			go func() {
				text, _ := io.ReadAll(reader)
				read <- text
			}()
			synctest.Wait()
			l.Close()
			pipe.Close()
			text := string(<-read)
			lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
			if want := fmt.Sprintf("%d log entries lost while their reader was behind", logged-len(lines)+1); !strings.Contains(lines[len(lines)-1], want) {
				t.Errorf("%s: %d lines, the last is %s", format, len(lines), lines[len(lines)-1])
			}
		})
	}
}

func TestFloodIsLimited(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l := logTo(&out, &out, false, infoAuto)
	for range 25 {
		event.PolicyFound.Log(slog.New(l))
	}
	l.Close()
	if lines := strings.Count(out.String(), "\n"); lines != 21 || !strings.Contains(out.String(), "count=5\n") {
		t.Errorf("25 events at once became %d lines:\n%s", lines, &out)
	}
}
