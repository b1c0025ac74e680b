package main

import (
	"testing"

	"mta-sts-daemon/e2e/bench/internal/bed"
	"mta-sts-daemon/e2e/bench/internal/far"
)

func TestKinds(t *testing.T) {
	t.Parallel()
	resolver := far.NewResolver(0)
	for i, k := range kinds() {
		if err := resolver.Add(bed.Domain(uint32(i)), k.Domain); err != nil {
			t.Errorf("%s: %v", k.name, err)
		}
	}
}
