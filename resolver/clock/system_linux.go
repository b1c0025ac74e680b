package clock

import (
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// bootIDFile has a random name of this boot, new at each boot (random(4)).
const bootIDFile = "/proc/sys/kernel/random/boot_id"

func systemBoot() (boot string, since func() time.Duration, ok bool) {
	id, err := os.ReadFile(bootIDFile)
	boot = strings.TrimSpace(string(id))
	if err != nil || boot == "" {
		return "", nil, false
	}
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &now) != nil {
		return "", nil, false
	}
	return boot, func() time.Duration {
		var now unix.Timespec
		unix.ClockGettime(unix.CLOCK_BOOTTIME, &now) // it worked before, and has no other error
		return time.Duration(now.Nano())
	}, true
}
