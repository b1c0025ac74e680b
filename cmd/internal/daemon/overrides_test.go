package daemon

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"mta-sts-daemon/config"
	"mta-sts-daemon/resolver/mtasts"
)

// TestOverrideEnds: each end is logged once, also that of an override whose date
// was moved and has come again.
func TestOverrideEnds(t *testing.T) {
	t.Parallel()
	d, err := mtasts.ParseDomain("a.test")
	if err != nil {
		t.Fatal(err)
	}
	key := config.OverrideKey{Domain: d, Host: true, Port: 587}
	now := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	var out bytes.Buffer
	ends := overrideEnds{logger: slog.New(slog.NewTextHandler(&out, nil))}
	for _, step := range []struct {
		at, until time.Duration // since now; 0 for no end
		lines     int           // so far
	}{
		{0, 0, 0},
		{-time.Second, time.Hour, 0},
		{time.Hour, time.Hour, 1},
		{2 * time.Hour, time.Hour, 1},
		{2 * time.Hour, 3 * time.Hour, 1},
		{3 * time.Hour, 3 * time.Hour, 2},
		{4 * time.Hour, 0, 2},
	} {
		o := config.Override{NotFound: true}
		if step.until != 0 {
			o.Until = now.Add(step.until)
		}
		ends.log(map[config.OverrideKey]config.Override{key: o}, now.Add(step.at))
		if n := strings.Count(out.String(), "key=[a.test]:587 until="); n != step.lines {
			t.Errorf("at %v, until %v: %d lines; want %d\n%s", step.at, step.until, n, step.lines, &out)
		}
	}
}
