//go:build !linux

package doctor

// synchronised believes the clock where the kernel is not asked.
func synchronised() bool { return true }
