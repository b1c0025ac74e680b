package simulation

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing/synctest"
	"time"

	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/policies"
	"mta-sts-daemon/resolver/shared/sharedtest"
)

// op is a kind of event: its frequency, the limits of its arguments, each of
// which is at least 0, and its effect.
type op struct {
	weight int
	limits []int64
	do     func(w *world, args []int64)
}

const day = 24 * time.Hour

// What arguments choose from.
var (
	maxAges = []time.Duration{0, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 6 * time.Hour, day, day, 7 * day, 30 * day, 30 * day, 366 * day}
	ttls    = []time.Duration{0, 5 * time.Second, time.Minute, 5 * time.Minute, 5 * time.Minute, time.Hour, day}
	delays  = []time.Duration{0, 10 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 400 * time.Millisecond, 2 * time.Second, 12 * time.Second, 40 * time.Second}
	modes   = []mtasts.Mode{mtasts.ModeEnforce, mtasts.ModeEnforce, mtasts.ModeEnforce, mtasts.ModeTesting, mtasts.ModeNone}
	downs   = []time.Duration{0, time.Second, time.Minute, time.Hour, 30 * time.Hour, 20 * day}
	jumps   = []time.Duration{time.Minute, 4 * time.Minute, 6 * time.Minute, time.Hour, 13 * time.Hour, 2 * day, 12 * day, 60 * day, 400 * day}
	entries = []int{1, 2, 3, 1000, 1000}
	room    = []int{1, 4, 1000, 5000, 5000}
	waits   = []time.Duration{500 * time.Millisecond, 500 * time.Millisecond, 100 * time.Millisecond}
	answers = []time.Duration{8 * time.Second, 8 * time.Second, 8 * time.Second, 2 * time.Second}
	every   = []time.Duration{day, day, time.Hour, 7 * day}
	idles   = []time.Duration{14 * day, 14 * day, 6 * time.Hour}
	workers = []int{16, 16, 4, 1}
)

const someDomains = 8 // most arguments that name a domain

var ops map[string]op

func init() { // ops is used by parse, which the ops do not need
	ops = map[string]op{
		"lookup":     {60, []int64{someDomains, 6}, lookUps},
		"herd":       {14, []int64{1 << 30}, herd},
		"flood":      {2, []int64{3, 40}, flood},
		"node":       {10, []int64{3}, func(w *world, args []int64) { w.node = w.nodes[int(args[0])%len(w.nodes)] }},
		"shared":     {5, []int64{5, 3}, setShared},
		"lease":      {0, []int64{someDomains}, holdLease}, // in a scene
		"disk":       {3, []int64{3}, setDisk},
		"publish":    {12, []int64{someDomains, int64(len(modes)), int64(len(maxAges)), 3}, publish},
		"record":     {8, []int64{someDomains, int64(recordTurns + 1), int64(len(ttls)), int64(len(delays) - 2)}, setRecord},
		"host":       {8, []int64{someDomains, int64(hostNoRoute + 1), int64(len(delays))}, setHost},
		"repair":     {6, []int64{someDomains}, repair},
		"repairall":  {2, nil, repairAll},
		"hostsdown":  {1, []int64{int64(hostNoRoute + 1)}, hostsDown},
		"mx":         {3, []int64{someDomains, int64(mxNull + 1)}, moveMX},
		"dane":       {5, []int64{someDomains, int64(dane.Full + 1), 3}, setDANE},
		"dns":        {6, []int64{int64(dnsSilent + 1)}, setDNS},
		"dnsback":    {6, nil, func(w *world, _ []int64) { setDNS(w, []int64{int64(dnsWorks)}) }},
		"clock":      {4, []int64{2 * int64(len(jumps))}, stepClock},
		"clockright": {2, nil, rightClock},
		"suspend":    {3, []int64{int64(len(jumps)) - 1}, suspend},
		"restart":    {5, []int64{int64(len(downs))}, restart},
		"kill":       {3, []int64{int64(len(downs)), 1 << 30}, kill},
		"boot":       {3, []int64{int64(len(downs)), 2*int64(len(jumps)) + 6}, boot},
		"configure":  {3, []int64{5, 5, 4, 3, 4, 2, 4, 3}, configure},
		"purge":      {3, []int64{someDomains}, purge},
		"purgeall":   {1, nil, purgeAll},
		"refresh":    {3, []int64{someDomains}, refresh},
		"audit":      {6, nil, audit},
	}
}

// opNames are the ops in a fixed order.
var opNames = []string{"lookup", "herd", "flood", "node", "shared", "disk", "publish", "record", "host", "repair", "repairall", "hostsdown", "mx", "dane", "dns", "dnsback",
	"clock", "clockright", "suspend", "restart", "kill", "boot", "configure", "purge", "purgeall", "refresh", "audit"}

// begin creates the world. Its arguments are the number of domains, whether the
// daemon has no file, whether DANE is on, a seed for the publishers' first state,
// and the number of nodes, one if left out.
func begin(w *world, args []int64) {
	random := rand.New(rand.NewPCG(uint64(args[3]), 0))
	for i := range args[0] {
		p := &publisher{domain: domain("d%d", int(i)), id: 1, ttl: 5 * time.Minute, recordDelay: 10 * time.Millisecond, hostDelay: 50 * time.Millisecond,
			kind: dane.None, kindTTL: time.Hour}
		p.write(modes[random.IntN(len(modes))], maxAges[random.IntN(len(maxAges))], 0)
		if random.IntN(5) == 0 {
			p.record = recordState(random.IntN(int(recordSilent) + 1))
		}
		if args[0] > someDomains && i >= someDomains && random.IntN(6) > 0 {
			p.write(mtasts.ModeEnforce, 30*day, 0) // of a crowd many fail later, see hostsDown
		}
		w.publishers = append(w.publishers, p)
	}
	nodes := 1
	if len(args) > 4 {
		nodes = int(args[4])
	}
	if nodes > 1 {
		w.shared = sharedtest.NewStore()
		w.shared.Wall = w.machine.Wall
	}
	for i := range nodes {
		n := newNode(w, i, args[1] == 0, settings{
			Limits:        policies.Limits{Entries: 1000, NegativeEntries: 5000, RefreshInterval: day, Idle: 14 * day},
			Concurrency:   16,
			AnswerTimeout: 8 * time.Second, RecheckWait: 500 * time.Millisecond,
			dane: args[2] == 1,
		})
		w.nodes = append(w.nodes, n)
		w.check(n.start())
	}
	w.node = w.nodes[0]
}

func lookUps(w *world, args []int64) {
	for range max(1, args[1]*args[1]-4) {
		w.ask(w.publisher(args[0]).domain)
	}
}

// ask begins a lookup.
func (w *world) ask(d mtasts.Domain) { w.node.lookUp(d) }

// herd looks all domains up, in random order, some several times, at all nodes.
func herd(w *world, args []int64) {
	random := rand.New(rand.NewPCG(uint64(args[0]), 1))
	for _, i := range random.Perm(len(w.publishers)) {
		for range 1 + random.IntN(3) {
			n := w.node
			if len(w.nodes) > 1 {
				n = w.nodes[random.IntN(len(w.nodes))]
			}
			n.lookUp(w.publishers[i].domain)
		}
	}
}

// flood looks up unknown domains, all at the same moment.
func flood(w *world, args []int64) {
	for range args[1] {
		w.locked(func(instant) { w.strangers++; w.node.flooded++ })
		w.ask(domain(strangerKinds[args[0]]+"-%d", w.strangers))
	}
}

// setShared changes the shared store: it works, fails, notifies nobody, is out of reach for
// one node, or loses everything.
func setShared(w *world, args []int64) {
	if w.shared == nil {
		return
	}
	w.shared.Set(func(s *sharedtest.Store) {
		s.Fault, s.Silent = nil, args[0] == 2
		for _, n := range w.nodes {
			n.link.Away = args[0] == 3 && n.number == int(args[1])%len(w.nodes)
		}
		switch args[0] {
		case 1:
			s.Fault = sharedtest.ErrDown
		case 4:
			s.Lose()
		}
	})
}

// holdLease: somebody has the lease to refresh a domain and never gives it back.
func holdLease(w *world, args []int64) {
	if w.shared != nil {
		w.shared.Set(func(s *sharedtest.Store) { s.Leases[w.publisher(args[0]).domain] = time.Now().Add(366 * day) })
	}
}

// setDisk: the node's disk has room again, is full, or is full and too much waits for it.
func setDisk(w *world, args []int64) {
	n := w.node
	switch args[0] {
	case 0:
		w.check(n.emptyDisk())
	case 2:
		w.check(n.fillDisk())
		n.cram()
	default:
		w.check(n.fillDisk())
	}
}

// change changes a publisher.
func (w *world) change(n int64, fn func(p *publisher)) {
	w.locked(func(now instant) {
		p := w.publisher(n)
		fn(p)
		p.changed = now
	})
}

// publish: a new text under a new id, a new text under the old id, or a new id for the old
// text.
func publish(w *world, args []int64) {
	w.change(args[0], func(p *publisher) {
		if args[3] != 2 {
			p.write(modes[args[1]], maxAges[args[2]], int(args[1]*args[2])*400)
		}
		if args[3] != 1 {
			p.id++
		}
	})
}

func setRecord(w *world, args []int64) {
	w.change(args[0], func(p *publisher) {
		p.record, p.ttl, p.recordDelay = recordState(args[1]), ttls[args[2]], delays[args[3]]
	})
}

func setHost(w *world, args []int64) {
	w.change(args[0], func(p *publisher) { p.host, p.hostDelay = hostState(args[1]), delays[args[2]] })
}

func (p *publisher) repair() {
	p.record, p.host, p.recordDelay, p.hostDelay, p.mx = recordOK, hostOK, 10*time.Millisecond, 50*time.Millisecond, mxMatches
	if p.kind == 0 {
		p.kind = dane.None
	}
}

func repair(w *world, args []int64) { w.change(args[0], (*publisher).repair) }

func repairAll(w *world, _ []int64) {
	for i := range w.publishers {
		w.change(int64(i), (*publisher).repair)
	}
}

// hostsDown: most policy hosts fail.
func hostsDown(w *world, args []int64) {
	for i := range w.publishers {
		if i%5 > 0 {
			w.change(int64(i), func(p *publisher) { p.host = hostState(args[0]) })
		}
	}
}

func moveMX(w *world, args []int64) {
	w.change(args[0], func(p *publisher) { p.mx = mxState(args[1]) })
}

func setDANE(w *world, args []int64) {
	w.change(args[0], func(p *publisher) {
		p.kind, p.kindTTL = dane.Kind(args[1]), []time.Duration{time.Minute, 10 * time.Minute, time.Hour}[args[2]]
	})
}

func setDNS(w *world, args []int64) {
	w.locked(func(now instant) {
		if s := dnsState(args[0]); s != w.dns {
			w.dns, w.dnsSince = s, now
			for _, n := range w.nodes {
				n.pastOutage, n.outageFrom = n.outageFrom, 0
			}
		}
	})
}

// setWall lets the wall clock be ahead by so much.
func (w *world) setWall(ahead time.Duration, set func()) {
	w.locked(func(now instant) {
		w.walls = append(w.walls, wallChange{now, w.wall})
		set()
		w.wall = ahead
		for _, n := range w.nodes {
			n.disturbed, n.stepped = now, now
			n.eachFact(func(f *fact) {
				if f.boot == w.boots {
					f.low, f.high = min(f.low, ahead), max(f.high, ahead)
				}
			})
		}
	})
}

// jump is a step of a clock, back if the argument is odd.
func jump(arg int64) time.Duration {
	if i := arg / 2; int(i) < len(jumps) {
		if arg%2 == 1 {
			return -jumps[i]
		}
		return jumps[i]
	}
	return 0
}

func stepClock(w *world, args []int64) {
	by := jump(args[0])
	w.setWall(w.wall+by, func() { w.machine.SetWall(by) })
}

func rightClock(w *world, _ []int64) {
	w.setWall(0, func() { w.machine.SetWall(-w.wall) })
}

func suspend(w *world, args []int64) {
	by := jumps[args[0]]
	w.locked(func(instant) {
		w.machine.Suspend(by)
		w.slept += by
		for _, n := range w.nodes {
			n.disturbed = w.now()
		}
	})
	time.Sleep(observed) // BEHAVIOUR, Clock: the suspend offset is sampled off the warm path
}

func restart(w *world, args []int64) {
	w.check(w.node.stop())
	time.Sleep(downs[args[0]])
	w.check(w.node.start())
}

func kill(w *world, args []int64) {
	w.check(w.node.kill(uint64(args[1])))
	time.Sleep(downs[args[0]])
	w.check(w.node.start())
}

// boot restarts the machine, sometimes with a wrong wall clock.
func boot(w *world, args []int64) {
	for _, n := range w.nodes {
		w.check(n.stop())
		if n.inMemory {
			n.st.Close()
			n.st = nil
			w.locked(func(now instant) { n.forgetAll(now) })
		}
	}
	time.Sleep(downs[args[0]])
	w.locked(func(now instant) {
		w.boots++ // policies fetched before keep their clock
		w.booted = now
		for _, n := range w.nodes {
			n.evicting = now // when a failure was, the wall clock says, which may be wrong
		}
	})
	off := jump(args[1])
	w.setWall(off, func() { w.machine.Reboot(fmt.Sprintf("boot %d", w.boots), off+w.slept) }) // the Machine knows of no sleep before
	for _, n := range w.nodes {
		w.check(n.start())
	}
}

func configure(w *world, args []int64) {
	w.locked(func(now instant) {
		for _, k := range w.node.known { // a policy out of use may be in use by the new limit
			if now-k.lastLookup > w.node.settings.Idle/2 {
				k.inUseSince = now
			}
		}
		w.node.eachFact(func(f *fact) { // one that came from the file since was planned by this interval
			f.interval = max(f.interval, w.node.settings.RefreshInterval)
		})
	})
	w.node.configure(settings{
		Limits:      policies.Limits{Entries: entries[args[0]], NegativeEntries: room[args[1]], RefreshInterval: every[args[2]], Idle: idles[args[3]]},
		Concurrency: workers[args[4]], dane: args[5] == 1, AnswerTimeout: answers[args[6]], RecheckWait: waits[args[7]],
	})
}

// purge purges a domain: nothing that was known answers from now on.
func purge(w *world, args []int64) {
	d := w.publisher(args[0]).domain
	w.checkPurge(w.node.r.Purge(context.Background(), d))
	w.locked(func(now instant) { w.node.about(d).purge(now) })
}

// checkPurge: that the shared store fails is expected.
func (w *world) checkPurge(err error) {
	if !errors.Is(err, sharedtest.ErrDown) {
		w.check(err)
	}
}

func purgeAll(w *world, _ []int64) {
	_, err := w.node.r.PurgeAll(context.Background())
	w.checkPurge(err)
	w.locked(func(now instant) {
		for _, k := range w.node.known {
			k.purge(now)
		}
	})
}

// refresh is an operator's, which waits for the policy host.
func refresh(w *world, args []int64) {
	n, d := w.node, w.publisher(args[0]).domain
	w.locked(func(instant) { n.about(d).forced++ })
	n.lookups.Go(func() {
		n.r.Refresh(context.Background(), d) // the model sees a failure anyway
		w.locked(func(instant) { n.about(d).forced-- })
	})
}

// audit waits until nothing is under way and compares what operators see with the model.
func audit(w *world, _ []int64) {
	time.Sleep(2 * hostTimeout)
	synctest.Wait()
	for _, n := range w.nodes {
		n.audit()
	}
}
