package daemon

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// heapRoom is how many octets the heap may grow between two collections,
// however small it is.
const heapRoom = 32 << 20

// heapPacer sets the collector's pace anew after each collection. GOGC alone has
// the heap of a daemon that knows few domains collected at every other megabyte,
// which took a third of the processor time of new lookups; one large enough for
// that would double what many policies take.
type heapPacer struct {
	percent int // GOGC, which holds where it gives more room
	room    uint64

	mu      sync.Mutex
	stopped bool
}

// paceHeap sees to it that the heap has that much room until stop is called.
// Where GOGC is off, it stays off.
func paceHeap(room uint64) (stop func()) {
	percent := debug.SetGCPercent(-1)
	debug.SetGCPercent(percent)
	if percent < 0 {
		return func() {}
	}
	p := &heapPacer{percent: percent, room: room}
	p.next()
	return p.stop
}

// next sets the pace for the cycle that begins and has itself called at its end.
func (p *heapPacer) next() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return
	}
	debug.SetGCPercent(pace(p.percent, p.room, liveHeap()))
	cycle := &struct{ pacer *heapPacer }{p} // garbage at once: the next collection finds it
	runtime.AddCleanup(cycle, (*heapPacer).next, p)
}

func (p *heapPacer) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	debug.SetGCPercent(p.percent)
}

// pace is the GOGC that lets a heap of which so much is live grow by room, but
// percent at least.
func pace(percent int, room, live uint64) int {
	const leastHeap = 4 << 20 // on which the runtime starts to collect with GOGC=100
	return max(percent, int(room*100/max(live, leastHeap)))
}

// liveHeap is how many octets the collection before has left.
func liveHeap() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
