package doctor

import "golang.org/x/sys/unix"

// synchronised reports what the kernel knows of the clock, adjtimex(2). A kernel
// that does not say is believed to be in time.
func synchronised() bool {
	var t unix.Timex
	if _, err := unix.Adjtimex(&t); err != nil {
		return true
	}
	return t.Status&unix.STA_UNSYNC == 0
}
