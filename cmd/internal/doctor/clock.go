package doctor

import (
	"os"
	"time"
)

// built is a day before which this program did not exist.
var built = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// containerFiles exist in the containers of Docker, Podman and systemd-nspawn.
var containerFiles = []string{"/.dockerenv", "/run/.containerenv", "/run/systemd/container"}

// inContainer reports whether this is a container, whose clock is the host's and cannot
// be set.
func inContainer() bool {
	for _, file := range containerFiles {
		if _, err := os.Stat(file); err == nil {
			return true
		}
	}
	return os.Getenv("container") != "" || os.Getenv("KUBERNETES_SERVICE_HOST") != ""
}

// clock examines whether certificates and policies are judged by the right time.
func clock(now time.Time, synchronised, container bool) []Finding {
	const remedy = "run systemd-timesyncd, chrony or another NTP client"
	switch {
	case now.Before(built):
		return []Finding{problem(checkClock, remedy, "The clock says %s: certificates are not valid yet by that date", now.UTC().Format(time.DateOnly))}
	case synchronised:
		return []Finding{well(checkClock, "The clock is synchronised")}
	case container:
		return nil
	}
	return []Finding{hint(checkClock, remedy, "The clock says %s; the kernel does not know whether that is right",
		now.UTC().Format(time.RFC3339))}
}
