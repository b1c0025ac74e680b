package doctor

import "golang.org/x/sys/unix"

// synchronised reports whether the kernel's clock is synchronised, adjtimex(2); true if
// the kernel does not say.
func synchronised() bool {
	var t unix.Timex
	if _, err := unix.Adjtimex(&t); err != nil {
		return true
	}
	return t.Status&unix.STA_UNSYNC == 0
}
