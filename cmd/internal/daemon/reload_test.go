package daemon

import (
	"slices"
	"testing"
	"time"

	"mta-sts-daemon/config"
)

// Exactly the keys that a reload cannot apply are named.
func TestNeedRestart(t *testing.T) {
	t.Parallel()
	d := &daemon{started: config.Default()}
	for _, tc := range []struct {
		change func(*config.Config)
		want   []string
	}{
		{func(*config.Config) {}, nil},
		{func(c *config.Config) { c.Mode = config.ModeMonitor; c.Cache.Entries = 1 }, nil},
		{func(c *config.Config) { c.Listen.Socketmap = nil }, []string{"listen"}},
		{func(c *config.Config) { c.Cache.File = config.MemoryOnly }, []string{"cache.file"}},
		{func(c *config.Config) { c.Cache.Shared.URL = "redis://kv.example" }, []string{"cache.shared"}},
		{func(c *config.Config) { c.Cache.Shared.Timeout = time.Second; c.Cache.File = "/p" }, []string{"cache.file", "cache.shared"}},
	} {
		cfg := config.Default()
		tc.change(&cfg)
		if got := d.needRestart(cfg); !slices.Equal(got, tc.want) {
			t.Errorf("got %v, want %v", got, tc.want)
		}
	}
}
