package clock

import (
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// bootIDFile has a random name of this boot, new at each boot (random(4)).
const bootIDFile = "/proc/sys/kernel/random/boot_id"

// timeNamespace names the process's time namespace (time_namespaces(7)), and
// initialNamespace is the name of the first. A container that has another one may
// have a time since boot of its own, so its entries belong to a boot of their
// own.
const (
	timeNamespace    = "/proc/self/ns/time"
	initialNamespace = "time:[4026531834]"
)

func systemBoot() (boot string, since func() time.Duration, ok bool) {
	id, err := os.ReadFile(bootIDFile)
	boot = strings.TrimSpace(string(id))
	if err != nil || boot == "" {
		return "", nil, false
	}
	if namespace, err := os.Readlink(timeNamespace); err == nil && namespace != initialNamespace {
		boot += " " + namespace
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
