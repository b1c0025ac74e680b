package clock

import (
	"crypto/rand"
	"time"
)

// System returns the Clock of this machine. If the system has no time since boot
// or no name of the boot, this process counts as a boot of its own: the times of
// earlier processes are then judged by the wall clock.
func System() *Clock {
	source := Source{Now: time.Now, Wall: time.Now}
	boot, since, ok := systemBoot()
	if !ok {
		start := time.Now()
		boot = "process " + rand.Text()
		since = func() time.Duration { return time.Since(start) }
	}
	source.Boot, source.SinceBoot = boot, since
	return New(source)
}
