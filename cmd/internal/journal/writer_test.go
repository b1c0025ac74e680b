package journal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	systemd "github.com/coreos/go-systemd/v22/journal"
)

func withoutTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

// textTo is a fallback that writes to out.
func textTo(out io.Writer) slog.Handler {
	return slog.NewTextHandler(out, &slog.HandlerOptions{ReplaceAttr: withoutTime})
}

func TestFallback(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	var got []string
	send := func(message string, _ systemd.Priority, _ map[string]string) error {
		if strings.HasPrefix(message, "lost") {
			return errors.New("connection refused")
		}
		got = append(got, message)
		return nil
	}
	h := newHandler(textTo(&out), send)
	logger := slog.New(h)
	logger.Info("taken")
	logger.With("a", 1).WithGroup("g").Warn("lost", "b", 2)
	logger.Info("taken again")
	h.Close()
	if want := "level=WARN msg=lost a=1 g.b=2\n"; out.String() != want {
		t.Errorf("the fallback has %q, want %q", &out, want)
	}
	if want := []string{"taken", "taken again"}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("journald has %q, want %q", got, want)
	}
}

// A stopped journald blocks nothing. When it continues, the number of lost entries
// is logged.
func TestJournaldStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var got []string
		goOn := make(chan struct{})
		send := func(message string, _ systemd.Priority, _ map[string]string) error {
			<-goOn
			got = append(got, message)
			return nil
		}
		h := newHandler(textTo(io.Discard), send)
		logger := slog.New(h)
		logger.Info("in hand")
		synctest.Wait()
		const lost = 3
		for i := range queueLength + lost {
			logger.Info("waiting", "i", i)
		}
		close(goOn)
		synctest.Wait()
		logger.Info("as ever")
		h.Close()
		if want := queueLength + 3; len(got) != want {
			t.Fatalf("journald got %d entries, want %d", len(got), want)
		}
		last := got[queueLength:]
		want := []string{
			fmt.Sprintf("waiting (i %d)", queueLength-1),
			fmt.Sprintf("%d log entries lost while the journal was behind", lost),
			"as ever",
		}
		if fmt.Sprint(last) != fmt.Sprint(want) {
			t.Errorf("the last entries are %q, want %q", last, want)
		}
	})
}

func TestCloseDoesNotWaitForAStoppedJournald(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		goOn := make(chan struct{})
		h := newHandler(textTo(io.Discard), func(string, systemd.Priority, map[string]string) error {
			<-goOn
			return nil
		})
		logger := slog.New(h)
		logger.Info("never taken")
		h.Close() // A deadlock here fails the test.
		close(goOn)
	})
}

func TestLoggedAfterClose(t *testing.T) {
	t.Parallel()
	h := newHandler(textTo(io.Discard), func(string, systemd.Priority, map[string]string) error { return nil })
	h.Close()
	h.Close()
	if err := h.Handle(t.Context(), slog.Record{}); !errors.Is(err, errClosed) {
		t.Errorf("a record after Close: %v", err)
	}
}
