// Package stack saves short-lived goroutines time.
package stack

// room is more than half of the stack that a lookup needs, and stacks double.
const room = 4 << 10

// Grow makes room on the stack for what a lookup calls. It is for the first
// function of a goroutine that goes deep: a stack begins with 2 KiB, and each time
// it is full all frames on it are gone over and moved. Done at once, while there
// are few, that costs a third of what it costs further down.
//
//go:noinline
func Grow() {
	var frame [room]byte
	use(&frame)
}

//go:noinline
func use(*[room]byte) {}
