package resolver

import (
	"context"
	"errors"
	"time"
)

// How much a Resolver does at once for those who look up domains. Not how much
// in a second: what a flood costs is sockets, memory and workers while they are
// taken, and an honest server comes in bursts too. One domain is asked about
// once at a time, and not again before what was learned has run out.
const (
	// maxRecords bounds the records that are asked for at once: as many
	// questions as resolvers take on by default. Each holds a handful of
	// sockets, for dns.timeout at most.
	maxRecords = 1000

	// maxChecks bounds the next hops whose DANE is found out at once. Each asks
	// up to eight questions side by side.
	maxChecks = 250

	// maxFetches bounds the policies that are fetched at once. Each takes some
	// 100 KiB, and a host that drips keeps it for fetch.timeout; an honest one
	// for less than a second.
	maxFetches = 250

	// maxWaiting bounds how many wait before a gate.
	maxWaiting = 10_000
)

// errBusy means that something was not tried because too much is under way. It
// says nothing of the domain, so nothing is filed.
var errBusy = errors.New("too many discoveries at once")

// gates bound what lookups set off.
type gates struct{ records, fetches, checks *gate }

// doors are the gates for domains of which nothing is known and, apart from
// them, those for known ones: anyone whose mail this server sends can make up
// names without end, and what is known must be kept up all the same. Renewals
// and what an operator asks for pass by no gate; the scheduler and the control
// socket bound them.
type doors struct{ unknown, known gates }

func newDoors() doors {
	open := func() gates {
		return gates{newGate(maxRecords), newGate(maxFetches), newGate(maxChecks)}
	}
	return doors{unknown: open(), known: open()}
}

// of returns the gates that a discovery for that reason passes.
func (d *doors) of(why reason) gates {
	switch why {
	case firstDiscovery:
		return d.unknown
	case recheck:
		return d.known
	}
	return gates{}
}

// gate lets a number in at once; others wait in line. A nil gate lets all in.
type gate struct{ inside, line chan struct{} }

func newGate(size int) *gate {
	return &gate{make(chan struct{}, size), make(chan struct{}, maxWaiting)}
}

// enter waits its turn, but for patience at most. Where it returns nil, leave
// must be called; otherwise the error is errBusy or why ctx ended.
func (g *gate) enter(ctx context.Context, patience time.Duration) error {
	if g == nil {
		return nil
	}
	select {
	case g.inside <- struct{}{}:
		return nil
	default:
	}
	select {
	case g.line <- struct{}{}:
		defer func() { <-g.line }()
	default:
		return errBusy
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case g.inside <- struct{}{}:
		return nil
	case <-timer.C:
		return errBusy
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (g *gate) leave() {
	if g != nil {
		<-g.inside
	}
}
