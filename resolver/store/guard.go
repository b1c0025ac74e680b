package store

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// corruption is why a file can no longer be used.
type corruption struct{ reason string }

func (c *corruption) Error() string { return c.reason }

func corrupt(format string, args ...any) *corruption {
	return &corruption{fmt.Sprintf(format, args...)}
}

// asCorruption returns the corruption that err wraps, or nil.
func asCorruption(err error) *corruption {
	c, _ := errors.AsType[*corruption](err)
	return c
}

// guard runs fn, which reads a mapped file: bbolt panics at a page that makes no
// sense, and the kernel faults if the file has no page or cannot read it. Either
// is corruption and must not end the daemon. A fault is caught only on the
// goroutine that calls guard.
func guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = corrupt("%v", r)
		}
	}()
	return fn()
}
