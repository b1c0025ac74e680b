// Package simulation tests package resolver with random histories of a whole
// world.
//
// A history is a list of events: publishers change records and policies, MX hosts
// move, DANE comes and goes, the DNS fails, clocks step, the machine sleeps and
// boots, the daemon restarts or is killed, its disk is full, settings change,
// operators purge, and Postfix looks domains up, sometimes more than the limits
// of load allow. One to three nodes share a store. A seed draws a history. It
// runs in the fake time of testing/synctest on a real Resolver and a real policy
// file, so days take a fraction of a second.
//
// The model has some 1,500 lines. Read it in this order: its knowledge (model_test.go,
// and node in node_test.go); how it learns that from the replies that the fakes gave the
// Resolver (learned_test.go, shared_test.go, lookup_test.go); and the rules by which it judges
// every answer, question and fetch (rules_test.go, load_test.go, reports_test.go,
// audit_test.go). Each rule names its RFC section or the line of the contract, and has one
// line for each excuse.
//
// A history that breaks a rule is made shorter and printed, with the command that
// replays it. Its shortened form stays in testdata as a regression test.
//
//	make simulate                     # the seeds of CI
//	make simulate SEEDS=5000 LENGTH=240h
//	make simulate SEED=42             # one seed, 20 times, with every event
//
// A seed fixes the history, not how the runtime schedules goroutines and not the
// Resolver's own chance (the spread of refreshes), so a replay may need several
// runs.
package simulation
