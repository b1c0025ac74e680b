// Package bench measures the built daemon as it runs. It has nothing but
// benchmarks; docs/performance.md has what they found and what it means.
//
//	make bench-storage
//	BENCH_POLICIES=10000 go test -run '^$' -bench Storage -benchtime 5x ./e2e/bench
//
// They use loopback and a temporary directory alone, and need no root. The
// directory should be on a disk like the one that holds the state directory
// later: TMPDIR says where. A million policies take half a gigabyte there and
// some minutes. Without BENCH_POLICIES there are so few that nothing can be read
// from the figures, but that the benchmark works.
package bench
