// Package race asks several sources for the same thing without waiting long
// for any one of them: the servers of resolv.conf, the addresses of a host.
package race

import (
	"context"
	"errors"
	"time"
)

// First runs attempt(ctx, 0), attempt(ctx, 1) … n of them at most, n being at
// least 1, and returns the first success. The next attempt starts as soon as
// one has failed, or when stagger has passed since the last one started; those
// already under way go on beside it. When First returns, the ctx of all
// attempts is cancelled.
//
// A success that comes after First has returned goes to discard, which may be
// nil; so nothing that an attempt opened is lost. Where every attempt fails,
// the errors come joined in the order of the attempts. Where ctx ends first,
// its cause comes alone.
func First[T any](ctx context.Context, n int, stagger time.Duration,
	attempt func(ctx context.Context, i int) (T, error), discard func(T)) (T, error) {

	type result struct {
		i     int
		value T
		err   error
	}
	var none T
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	results := make(chan result) // unbuffered: a result is taken here or discarded
	timer := time.NewTimer(stagger)
	defer timer.Stop()
	started := 0
	start := func() {
		if started == n {
			return
		}
		i := started
		started++
		timer.Reset(stagger)
		go func() {
			value, err := attempt(ctx, i)
			select {
			case results <- result{i, value, err}:
			case <-ctx.Done():
				if err == nil && discard != nil {
					discard(value)
				}
			}
		}()
	}

	errs := make([]error, n)
	start()
	for failed := 0; failed < n; {
		select {
		case r := <-results:
			if r.err == nil {
				return r.value, nil
			}
			errs[r.i] = r.err
			failed++
			start()
		case <-timer.C:
			start()
		case <-ctx.Done():
			return none, context.Cause(ctx)
		}
	}
	return none, errors.Join(errs...)
}
