package store

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// damage is what is wrong with a file that can no longer be used.
type damage struct{ reason string }

func (d *damage) Error() string { return d.reason }

func damaged(format string, args ...any) *damage { return &damage{fmt.Sprintf(format, args...)} }

// asDamage returns the damage that err is about, nil if it is none.
func asDamage(err error) *damage {
	d, _ := errors.AsType[*damage](err)
	return d
}

// guard runs fn, which reads a mapped file: bbolt panics at a page that makes
// no sense, and the kernel faults where the file has no page or cannot read
// it. Either is damage and must not end the daemon. A fault is caught only on
// the goroutine that calls guard.
func guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = damaged("%v", r)
		}
	}()
	return fn()
}
