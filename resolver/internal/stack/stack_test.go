package stack_test

import (
	"testing"
	"unsafe"

	"mta-sts-daemon/resolver/internal/stack"
)

// The stack moves when it grows, and not again further down.
func TestGrow(t *testing.T) {
	t.Parallel()
	const depth = 100
	var before, grown, after uintptr
	done := make(chan struct{})
	go func() {
		defer close(done)
		var local byte
		before = address(&local)
		stack.Grow()
		grown = address(&local)
		if n := descend(depth); n != depth {
			t.Errorf("%d calls", n)
		}
		after = address(&local)
	}()
	<-done
	if grown == before {
		t.Error("the stack has not grown")
	}
	if after != grown {
		t.Error("the stack had to grow once more")
	}
}

//go:noinline
func address(p *byte) uintptr { return uintptr(unsafe.Pointer(p)) }

// descend calls itself depth times; each call takes some 30 bytes of stack.
//
// //go:noinline
func descend(depth int) int {
	if depth == 0 {
		return 0
	}
	return descend(depth-1) + 1
}
