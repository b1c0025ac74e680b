package daemon

import "runtime/debug"

// heapRoom is how many bytes the heap may grow between two collections, however small
// it is.
const heapRoom = 16 << 20

// newBallast returns memory for the caller to keep. It is never written, so it
// takes address space and no memory, but the collector counts it as live: with
// GOGC=50 a ballast of 32 MiB lets the heap grow by 16 MiB. Without it the heap
// of a daemon that knows few domains is collected at every other megabyte, which
// took a third of the processor time of new lookups. A GOGC large enough for that
// would double the memory of many policies. If GOGC is off there is no ballast.
func newBallast(room int) []byte {
	percent := debug.SetGCPercent(-1)
	debug.SetGCPercent(percent)
	if percent <= 0 {
		return nil
	}
	return make([]byte, room*100/percent)
}
