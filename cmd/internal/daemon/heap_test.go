package daemon

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
)

// TestBallast changes a setting of the whole process, so it is not parallel.
func TestBallast(t *testing.T) {
	before := debug.SetGCPercent(50)
	defer debug.SetGCPercent(before)
	goal := []metrics.Sample{{Name: "/gc/heap/goal:bytes"}, {Name: "/gc/heap/live:bytes"}}
	for _, percent := range []int{50, 100} {
		debug.SetGCPercent(percent)
		ballast := newBallast(heapRoom)
		runtime.GC()
		metrics.Read(goal)
		if room := goal[0].Value.Uint64() - goal[1].Value.Uint64(); room < heapRoom {
			t.Errorf("GOGC=%d: the heap may grow by %d bytes, want %d", percent, room, heapRoom)
		}
		runtime.KeepAlive(ballast)
	}
	debug.SetGCPercent(-1)
	if ballast := newBallast(heapRoom); ballast != nil {
		t.Errorf("GOGC is off: a ballast of %d bytes", len(ballast))
	}
	if percent := debug.SetGCPercent(before); percent != -1 {
		t.Errorf("GOGC was off and is now %d", percent)
	}
}
