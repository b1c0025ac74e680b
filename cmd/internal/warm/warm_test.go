package warm

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

var errGone = errors.New("gone")

const list = `# comment
one.example

  two.example
gone.example
none.example
slow.example`

func look(_ context.Context, key string) (string, error) {
	switch key {
	case "one.example", "two.example":
		return "OK secure match=mx." + key, nil
	case "none.example":
		return "NOTFOUND", nil
	case "slow.example":
		return "TEMP not known", nil
	}
	return "", fmt.Errorf("%s: %w", key, errGone)
}

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		progress := 0
		got, err := Run(t.Context(), strings.NewReader(list), look,
			Options{Rate: 10, Concurrency: 2, Progress: func() { progress++ }})
		want := Summary{Looked: 5, Answered: 2, Not: 1, Undecided: 1, UndecidedKeys: []string{"slow.example: not known"}, Failed: 1, Done: 7,
			FirstFailure: "line 5: gone.example: gone"}
		if d := cmp.Diff(want, got); err != nil || d != "" || progress != got.Looked {
			t.Errorf("%v, progress %d (-want +got)\n%s", err, progress, d)
		}
		got, err = Run(t.Context(), strings.NewReader(list), look, Options{From: 6, Rate: 10, Concurrency: 2})
		if d := cmp.Diff(Summary{Looked: 2, Not: 1, Undecided: 1, UndecidedKeys: []string{"slow.example: not known"}, Done: 7}, got); err != nil || d != "" {
			t.Errorf("from line 6: %v (-want +got)\n%s", err, d)
		}
	})
}

func TestCount(t *testing.T) {
	for from, want := range map[int]int{0: 5, 1: 5, 2: 5, 3: 4, 6: 2, 8: 0} {
		if got := Count(strings.NewReader(list), from); got != want {
			t.Errorf("from line %d: %d, want %d", from, got, want)
		}
	}
}

func TestRunHasLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var active, most atomic.Int32
		slow := func(context.Context, string) (string, error) {
			most.Store(max(most.Load(), active.Add(1)))
			time.Sleep(time.Second)
			active.Add(-1)
			return "NOTFOUND", nil
		}
		lines := strings.Repeat("a.example\n", 100)
		start := time.Now()
		if _, err := Run(t.Context(), strings.NewReader(lines), slow, Options{Rate: 1000, Concurrency: 5}); err != nil {
			t.Error(err)
		}
		if took := time.Since(start).Round(time.Second); most.Load() != 5 || took != 20*time.Second {
			t.Errorf("%d at once, %v", most.Load(), took)
		}
		start = time.Now()
		if _, err := Run(t.Context(), strings.NewReader(lines), look, Options{Rate: 10, Concurrency: 5}); err != nil {
			t.Error(err)
		}
		if took := time.Since(start).Round(time.Second); took != 10*time.Second {
			t.Errorf("at 10 a second it took %v", took)
		}
	})
}

// An interrupted run reports the line to continue at, and leaves out no line.
func TestRunInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		stuck := func(ctx context.Context, key string) (string, error) {
			if key == "stuck.example" {
				<-ctx.Done()
				return "", ctx.Err()
			}
			return "NOTFOUND", nil
		}
		time.AfterFunc(10*time.Second, func() { cancel(errGone) })
		lines := "a.example\nb.example\nstuck.example\n" + strings.Repeat("c.example\n", 1000)
		got, err := Run(ctx, strings.NewReader(lines), stuck, Options{Rate: 10, Concurrency: 5})
		if !errors.Is(err, errGone) || got.Done != 2 || got.Looked < 50 || got.Failed != 0 {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestRunReadsNoEndlessLine(t *testing.T) {
	_, err := Run(t.Context(), strings.NewReader("a.example\n"+strings.Repeat("x", 1<<20)), look, Options{Rate: 1000, Concurrency: 1})
	if err == nil || !strings.HasPrefix(err.Error(), "line 2: too long: is this a list of names") {
		t.Errorf("got %v", err)
	}
}
