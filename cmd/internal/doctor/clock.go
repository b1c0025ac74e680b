package doctor

import "time"

// built is a day before which this program was not.
var built = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// clock looks whether certificates and policies are judged by the right time.
func clock(now time.Time) []Finding {
	const remedy = "run systemd-timesyncd, chrony or another NTP client"
	switch {
	case now.Before(built):
		return []Finding{problem(checkClock, remedy, "The clock says %s: certificates seem not to be valid yet", now.UTC().Format(time.DateOnly))}
	case !synchronised():
		return []Finding{hint(checkClock, remedy, "The clock says %s; the kernel does not know whether that is right",
			now.UTC().Format(time.RFC3339))}
	}
	return []Finding{well(checkClock, "The clock is synchronised")}
}
