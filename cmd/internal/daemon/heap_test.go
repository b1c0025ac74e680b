package daemon

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	for _, tt := range []struct {
		percent    int
		room, live uint64
		want       int
	}{
		{50, 32 * mib, 0, 800}, // before the first collection
		{50, 32 * mib, 4 * mib, 800},
		{50, 32 * mib, 16 * mib, 200},
		{50, 32 * mib, 64 * mib, 50},
		{50, 32 * mib, 1 << 40, 50},
		{1000, 32 * mib, 4 * mib, 1000},
	} {
		if got := pace(tt.percent, tt.room, tt.live); got != tt.want {
			t.Errorf("pace(%d, %d, %d) = %d; want %d", tt.percent, tt.room, tt.live, got, tt.want)
		}
	}
}

// gogc is the percentage in force.
func gogc() int {
	sample := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(sample)
	return int(sample[0].Value.Uint64())
}

// TestPaceHeap changes what the whole process has, so that it is not parallel.
func TestPaceHeap(t *testing.T) {
	const percent, room = 50, 32 << 20
	before := debug.SetGCPercent(percent)
	defer debug.SetGCPercent(before)
	awaitCollected := func(what string, reached func(gogc int) bool) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); !reached(gogc()); runtime.Gosched() {
			if time.Now().After(end) {
				t.Fatalf("%s: GOGC is still %d", what, gogc())
			}
			runtime.GC()
		}
	}

	stop := paceHeap(room)
	awaitCollected("small heap", func(gogc int) bool { return gogc > 4*percent })
	ballast := make([]byte, 2*room)
	awaitCollected("large heap", func(gogc int) bool { return gogc == percent })
	runtime.KeepAlive(ballast)
	awaitCollected("small heap again", func(gogc int) bool { return gogc > 4*percent })
	stop()
	runtime.GC()
	if got := gogc(); got != percent {
		t.Errorf("stopped, GOGC is %d; want %d", got, percent)
	}
}

func TestPaceHeapOff(t *testing.T) {
	before := debug.SetGCPercent(-1)
	defer debug.SetGCPercent(before)
	defer paceHeap(1 << 20)()
	if was := debug.SetGCPercent(-1); was != -1 {
		t.Errorf("GOGC was off and is now %d", was)
	}
}
