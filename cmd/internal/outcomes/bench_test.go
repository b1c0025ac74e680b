package outcomes_test

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"mta-sts-daemon/cmd/internal/outcomes"
)

// benchmarkLog is a log of n lines: a recorded one over and over, with other
// domains, processes and queue ids each time.
func benchmarkLog(b *testing.B, n int) (lines []string) {
	b.Helper()
	recorded, err := os.ReadFile("testdata/postfix-3.10.log")
	if err != nil {
		b.Fatal(err)
	}
	for round := 0; len(lines) < n; round++ {
		text := bytes.ReplaceAll(recorded, []byte(": 4jcHq"), fmt.Appendf(nil, ": %06X", round))
		text = bytes.ReplaceAll(text, []byte(".test"), fmt.Appendf(nil, "%d.test", round%5000))
		text = bytes.ReplaceAll(text, []byte("["), fmt.Appendf(nil, "[%d", round%100))
		for line := range bytes.Lines(text) {
			lines = append(lines, string(bytes.TrimSuffix(line, []byte{'\n'})))
		}
	}
	return lines[:n]
}

// BenchmarkLine counts lines of a real log: about a third are delivery lines, as
// many TLS lines, the rest those of the queue manager and tlsproxy.
func BenchmarkLine(b *testing.B) {
	lines := benchmarkLog(b, 200_000)
	size := 0
	for _, line := range lines {
		size += len(line) + 1
	}
	b.SetBytes(int64(size / len(lines)))
	b.ReportAllocs()
	tally := outcomes.NewTally(outcomes.Options{})
	i := 0
	for b.Loop() {
		tally.Line(lines[i%len(lines)])
		i++
	}
}
