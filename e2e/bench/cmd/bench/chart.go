package main

import (
	"fmt"
	"os"
	"slices"

	"mta-sts-daemon/e2e/bench/internal/bed"
	"mta-sts-daemon/e2e/bench/internal/chart"
	"mta-sts-daemon/e2e/bench/internal/load"
)

const (
	// peersKnow is how many policies peers fetch at most, each from its policy host.
	peersKnow = 10_000

	// chartLeast is the least number of domains in a chart; the next ones are ten times
	// as many each, up to the largest of the flag --sizes.
	chartLeast = 100

	// chartConnections is how many connections there are, and chartDomains how many
	// domains, if the panel is not about them.
	chartConnections = 64
	chartDomains     = 1000
)

// sweep is a panel without its lines, with a workload for each place on the axis.
type sweep struct {
	chart.Panel
	at   []int
	load func(at int) (connections int, keys func() load.Keys)
	// known is how many domains a server has to know.
	known func(at int) uint32
}

// sweeps returns the panels without their lines.
func (b *bench) sweeps() []sweep {
	always := func(k load.Keys) func() load.Keys { return func() load.Keys { return k } }
	misses := uint32(0) // so far, none twice
	var sizes []int
	for n := chartLeast; n <= int(slices.Max(b.sizes)); n *= 10 {
		sizes = append(sizes, n)
	}
	return []sweep{
		{
			Panel: chart.Panel{Title: fmt.Sprintf("Domains, %d connections", chartConnections), Axis: "domains with a policy, asked for alike", Log: true},
			at:    sizes,
			load: func(domains int) (int, func() load.Keys) {
				return chartConnections, always(load.Uniform(bed.AppendDomain, uint32(domains)))
			},
			known: func(domains int) uint32 { return uint32(domains) },
		},
		{
			Panel: chart.Panel{Title: fmt.Sprintf("Connections, %d domains", chartDomains), Axis: "connections", Log: true},
			at:    []int{1, 3, 10, 30, 100, 300, 1000},
			load: func(connections int) (int, func() load.Keys) {
				return connections, always(load.Uniform(bed.AppendDomain, chartDomains))
			},
			known: func(int) uint32 { return chartDomains },
		},
		{
			Panel: chart.Panel{Title: fmt.Sprintf("Hit rate, %d connections", chartConnections), Axis: "% known; the others have no policy"},
			at:    []int{0, 25, 50, 75, 90, 100},
			load: func(percent int) (int, func() load.Keys) {
				return chartConnections, func() load.Keys {
					misses += b.absences
					return load.Mix(bed.AppendDomain, chartDomains, float64(percent)/100, bed.AppendAbsent, misses, int(b.absences))
				}
			},
			known: func(int) uint32 { return chartDomains },
		},
	}
}

// drawChart measures the cost of a lookup over domains, connections and hit rate, and
// draws it.
func (b *bench) drawChart() error {
	policies := max(uint32(slices.Max(b.sizes)), chartDomains)
	fetched := min(policies, peersKnow)
	stop, err := b.startBed(fetched)
	if err != nil {
		return err
	}
	defer stop()
	servers, stopAll, err := b.startAll(0, append([]server{nullServer(false), b.ours(daneOff, policies)}, b.peers...)...)
	defer stopAll()
	if err != nil {
		return err
	}
	null, daemon, others := servers[0], servers[1], servers[2:]
	canKnow := map[*running]uint32{null: policies, daemon: policies}
	for _, peer := range others {
		canKnow[peer] = fetched
	}
	if err := daemon.settle(); err != nil { // it checks its file
		return err
	}
	picture := chart.Chart{Title: "Processor time of a lookup", Height: "CPU, µs"}
	for _, s := range b.sweeps() {
		picture.Panels = append(picture.Panels, b.sweep(s, servers, canKnow))
	}
	return os.WriteFile(b.chart, []byte(picture.SVG()), 0o644)
}

// sweep measures each server along the axis as long as it can know enough domains and
// answers. Each is asked for all of these domains first, because the first question for a
// domain costs more than the next ones.
func (b *bench) sweep(s sweep, servers []*running, canKnow map[*running]uint32) chart.Panel {
	fmt.Printf("\n%s\n%s\n", s.Title, heading)
	s.Lines = make([]chart.Line, len(servers))
	failed := map[*running]bool{}
	for _, at := range s.at {
		connections, keys := s.load(at)
		var able []*running
		for _, r := range servers {
			if failed[r] || canKnow[r] < s.known(at) {
				continue
			}
			if err := r.know(s.known(at)); err != nil {
				fmt.Println(err)
				failed[r] = true
				continue
			}
			able = append(able, r)
		}
		for i, result := range b.measureAll(fmt.Sprint(at), workload{overTCP, connections, 1, false}, keys, able...) {
			if failed[able[i]] = result.failed != nil; failed[able[i]] {
				continue
			}
			if cost := result.cpu(); cost > 0 { // else there were too few lookups to tell
				line := &s.Lines[slices.Index(servers, able[i])]
				line.Points = append(line.Points, [2]float64{float64(at), cost})
			}
		}
	}
	for i, r := range servers {
		s.Lines[i].Name = r.Name
	}
	return s.Panel
}
