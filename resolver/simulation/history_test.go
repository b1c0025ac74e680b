package simulation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime/pprof"
	"strings"
	"time"
)

// happening is one event of a history: after the gap, op happens. Its arguments are all
// that it depends on, so that events can be left out.
type happening struct {
	gap  time.Duration
	op   string
	args []int64
}

func (h happening) String() string {
	return strings.TrimSuffix(fmt.Sprintln(append([]any{h.gap, h.op}, anys(h.args)...)...), "\n")
}

func anys(args []int64) (out []any) {
	for _, a := range args {
		out = append(out, a)
	}
	return out
}

// parse reads what String wrote.
func parse(line string) (h happening, err error) {
	fields := strings.Fields(line)
	if len(fields) < 2 {
		return h, fmt.Errorf("%q has no event", line)
	}
	if h.gap, err = time.ParseDuration(fields[0]); err != nil {
		return h, err
	}
	h.op = fields[1]
	for _, f := range fields[2:] {
		var n int64
		if _, err := fmt.Sscan(f, &n); err != nil {
			return h, err
		}
		h.args = append(h.args, n)
	}
	if _, ok := ops[h.op]; !ok && h.op != "world" {
		return h, fmt.Errorf("%q: no such event", h.op)
	}
	return h, nil
}

// draw draws a history of that length by seed. Its first event sets the world up. Most
// events come by themselves; some come in scenes, see scenes_test.go.
func draw(seed uint64, length time.Duration) (history []happening) {
	random := rand.New(rand.NewPCG(seed, 20))
	domains, nodes := 2+random.Int64N(6), max(1, random.Int64N(6)-2)
	if random.IntN(8) == 0 {
		domains = 60 // a crowd
	}
	history = append(history, happening{op: "world", args: []int64{domains, random.Int64N(3), random.Int64N(2), random.Int64N(1 << 30), nodes}})
	total := 0
	for _, name := range opNames {
		total += ops[name].weight
	}
	out := false // the DNS
	for at := time.Duration(0); at < length; {
		next := []happening{{gap: gap(random)}}
		brief := out && random.IntN(40) > 0 // a probe a second costs time, and hours of them find nothing
		if brief {
			next[0].gap = min(next[0].gap, soon(random, 3*time.Minute))
		}
		switch {
		case random.IntN(sceneEvery) == 0:
			next = scenes[random.IntN(len(scenes))](random)
		case brief && random.IntN(4) == 0:
			next[0].op = "dnsback"
		default:
			next[0].op = pick(random, total)
			next[0].args = anyArgs(random, next[0].op)
			if op := next[0].op; brief && (op == "restart" || op == "kill") { // other nodes go on
				next[0].args[0] %= 3
			}
		}
		for _, h := range next {
			history = append(history, h)
			at += h.gap
			if h.op == "dns" || h.op == "dnsback" {
				out = h.op == "dns" && h.args[0] != int64(dnsWorks)
			}
		}
	}
	return history
}

// pick draws an op by its weight.
func pick(random *rand.Rand, total int) string {
	n := random.IntN(total)
	for _, name := range opNames {
		if n -= ops[name].weight; n < 0 {
			return name
		}
	}
	panic("weights do not add up")
}

func anyArgs(random *rand.Rand, op string) (args []int64) {
	for _, limit := range ops[op].limits {
		args = append(args, random.Int64N(limit))
	}
	return args
}

// gap draws the time before an event.
func gap(random *rand.Rand) time.Duration {
	upTo := func(d time.Duration) time.Duration {
		return time.Duration(random.Int64N(int64(d))).Round(time.Millisecond)
	}
	switch n := random.IntN(100); {
	case n < 15:
		return 0
	case n < 48:
		return upTo(3 * time.Second)
	case n < 80:
		return upTo(2 * time.Minute)
	case n < 96:
		return upTo(time.Hour)
	case n < 99:
		return upTo(6 * time.Hour)
	}
	return upTo(30 * time.Hour)
}

// worldLabel is the label of a world's goroutines: its directory.
const worldLabel = "world"

// play runs a history to its end or to the first violation, which it returns with the
// log. It is called in a bubble of testing/synctest.
func play(history []happening, dir string, verbose bool) (violations, log []string, took time.Duration) {
	pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), pprof.Labels(worldLabel, dir)))
	w := newWorld(time.Now, dir)
	w.verbose = verbose
	for _, h := range history {
		time.Sleep(h.gap)
		w.locked(func(now instant) {
			w.note("%v", h)
			for _, n := range w.nodes {
				n.noteRemovable(now)
				n.judgeRefreshes(now)
			}
		})
		if h.op == "world" {
			begin(w, h.args)
		} else if w.node != nil {
			ops[h.op].do(w, h.args)
		}
		if w.failed() {
			break
		}
	}
	for _, n := range w.nodes {
		if n.r != nil {
			w.check(n.stop())
		}
		if n.inMemory {
			n.st.Close()
		}
	}
	return w.violations, w.log, w.now()
}

func (w *world) failed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.violations) > 0
}

func (w *world) check(err error) {
	if err != nil {
		w.locked(func(instant) { w.violation("%v", err) })
	}
}
