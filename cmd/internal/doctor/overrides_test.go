package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"mta-sts-daemon/config"
	"mta-sts-daemon/resolver/mtasts"
)

func TestOverrides(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	h := Host{Config: config.Default(), ConfigFile: filepath.Join(t.TempDir(), "config.yaml")}
	if err := os.WriteFile(h.ConfigFile, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h.Config.Overrides = map[config.OverrideKey]config.Override{}
	for name, days := range map[string]int{"ended.test": -1, "ends.test": 1, "b.test": 0, "a.test": 0} {
		d, err := mtasts.ParseDomain(name)
		if err != nil {
			t.Fatal(err)
		}
		o := config.Override{Policy: "secure match=" + name}
		if days != 0 {
			o.Until = now.AddDate(0, 0, days)
		}
		h.Config.Overrides[config.OverrideKey{Domain: d, Host: true, Port: 587}] = o
	}
	for age, days := range map[string]int{"; the file was changed within the last day": 0, "; in the file for at least 12 days": 12} {
		changed := now.AddDate(0, 0, -days)
		if err := os.Chtimes(h.ConfigFile, changed, changed); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range h.overrides(t.Context(), nil, now) {
			got = append(got, fmt.Sprintf("%s %s %s", f.Check, f.Severity, f.Text))
		}
		want := []string{
			"overrides hint The override of [ended.test]:587 ended at 2026-11-30T12:00:00Z and no longer applies",
			"overrides ok The override of [ends.test]:587 ends at 2026-12-02T12:00:00Z" + age,
			"overrides ok Overrides without an end: 2 ([a.test]:587, [b.test]:587)" + age,
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %q; want %q", got, want)
		}
	}
}

func TestWeakens(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		override config.Override
		want     bool
	}{
		{config.Override{NotFound: true}, true},
		{config.Override{Policy: "may"}, true},
		{config.Override{Policy: "encrypt protocols=!SSLv2"}, true},
		{config.Override{Policy: "none"}, true},
		{config.Override{Policy: "Encrypt"}, true},
		{config.Override{Policy: " MAY"}, true},
		{config.Override{Policy: "encrypt,ciphers=high"}, true},
		{config.Override{Policy: "secure match=a.test"}, false},
		{config.Override{Policy: "dane-only"}, false},
	} {
		if got := weakens(tt.override); got != tt.want {
			t.Errorf("%+v weakens: %v", tt.override, got)
		}
	}
}
