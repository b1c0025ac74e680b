package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"mta-sts-daemon/e2e/bench/internal/proc"
)

// fleetCounts are counters from the start of the run, and memory now.
type fleetCounts struct {
	records, absences, others, fetches int64
	store                              storeCounts
	cpu                                time.Duration // of all nodes
	memory                             []int64       // of each node, in ascending order
}

func (f *fleet) counts() (c fleetCounts, err error) {
	l := &f.ledger
	c.records, c.absences, c.others, c.fetches = l.Records.Load(), l.Absences.Load(), l.Others.Load(), l.Fetches.Load()
	if c.store, err = f.store.counts(); err != nil {
		return c, err
	}
	for _, r := range f.running {
		used, err := proc.CPUTime(r.pid)
		if err != nil {
			return c, err
		}
		memory, err := proc.Anonymous(r.pid)
		if err != nil {
			return c, err
		}
		c.cpu += used
		c.memory = append(c.memory, memory)
	}
	slices.Sort(c.memory)
	return c, nil
}

// fleetTable has a column for each phase.
type fleetTable struct {
	rows  []string // their headings
	cells map[string][]string
	notes []string
}

func (t *fleetTable) add(row, cell string) {
	if !slices.Contains(t.rows, row) {
		t.rows = append(t.rows, row)
	}
	t.cells[row] = append(t.cells[row], cell)
}

func (t *fleetTable) print() {
	for i, row := range t.rows {
		fmt.Printf("| %s | %s |\n", row, strings.Join(t.cells[row], " | "))
		if i == 0 {
			fmt.Println("|---" + strings.Repeat("|--:", len(t.cells[row])) + "|")
		}
	}
	for _, note := range t.notes {
		fmt.Println(note)
	}
}

// share is a count for each domain, in parentheses; nothing for 0.
func share(count float64) string {
	if count >= 100 {
		return fmt.Sprintf(" (%.0f)", count)
	}
	return known(count, " (%.2f)")
}

const (
	mega       = 1e6
	resolution = 100 * time.Microsecond
	shownWrong = 5 // wrong answers of a phase, in notes
)

// phase does something with the domains and adds its column.
func (f *fleet) phase(what string, domains []uint32, do func([]uint32) (*tally, error)) error {
	before, err := f.counts()
	if err != nil {
		return err
	}
	start := time.Now()
	t, err := do(domains)
	if err != nil {
		return err
	}
	took := time.Since(start)
	after, err := f.counts()
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "bench: %s: %v\n", what, took.Round(time.Second))
	policies, all := 0, len(domains)
	for _, n := range domains {
		if n < f.policies() {
			policies++
		}
	}
	each := func(row string, count int64, of int) {
		f.table.add(row, fmt.Sprint(count)+share(float64(count)/float64(of)))
	}
	megabytes := func(row string, bytes int64) { f.table.add(row, fmt.Sprintf("%.1f", float64(bytes)/mega)) }
	used := ""
	if t.onlyLookups {
		used = fmt.Sprintf("%.0f", float64((after.cpu-before.cpu).Microseconds())/float64(t.lookups))
	}
	f.table.add("", what)
	f.table.add("domains", fmt.Sprint(all))
	f.table.add("lookups", fmt.Sprint(t.lookups))
	f.table.add("seconds", fmt.Sprintf("%.1f", took.Seconds()))
	f.table.add("lookups without their right answer", fmt.Sprint(len(t.wrong)))
	f.table.add("lookups that met no listener", fmt.Sprint(t.refused))
	each("TXT questions, domains with a policy", after.records-before.records, policies)
	each("TXT questions, domains without", after.absences-before.absences, all-policies)
	each("other questions", after.others-before.others, all)
	each("fetches", after.fetches-before.fetches, policies)
	each("store: commands", after.store.commands-before.store.commands, all)
	each("store: bytes in", after.store.in-before.store.in, all)
	each("store: bytes out", after.store.out-before.store.out, all)
	megabytes("store: memory, MB", after.store.memory)
	f.table.add("store: keys", fmt.Sprint(after.store.keys))
	megabytes("node: memory, MB", after.memory[len(after.memory)/2])
	megabytes("node: memory at most, MB", slices.Max(after.memory))
	f.table.add("node: CPU µs a lookup", used)
	for i, wrong := range t.wrong {
		if i < shownWrong {
			f.table.notes = append(f.table.notes, wrong)
		}
	}
	if last := t.spread.Quantile(1); last > 0 {
		f.table.notes = append(f.table.notes, fmt.Sprintf("All nodes had a new policy after %v; half of the policies after %v, 99 %% after %v at most",
			last.Round(resolution), t.spread.Quantile(.5).Round(resolution), t.spread.Quantile(.99).Round(resolution)))
	}
	return nil
}
