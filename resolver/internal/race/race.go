// Package race asks several sources for the same thing without waiting long
// for any one of them: the servers of resolv.conf, the addresses of a host.
package race

import (
	"context"
	"errors"
	"time"
)

// First runs at most n attempts, attempt(ctx, 0), attempt(ctx, 1) and so on, and
// returns the first success; n is at least 1. The next attempt starts as soon as
// one has failed, or stagger after the start of the last one; attempt 1 starts
// lead after attempt 0. Attempts under way continue in parallel. After a success,
// the ctx of all attempts is cancelled.
//
// Attempt 0 runs on the caller's goroutine, because usually it is the only one:
// First returns no sooner than it does, so it must end when its ctx does.
//
// A success after the first one is passed to discard, which may be nil, so that
// an attempt can open a resource without leaking it. If every attempt fails, the
// error joins theirs in the order of the attempts. If ctx ends first, the error
// is its cause.
func First[T any](ctx context.Context, n int, lead, stagger time.Duration,
	attempt func(ctx context.Context, i int) (T, error), discard func(T)) (T, error) {

	outer := ctx
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := &race[T]{n: n, stagger: stagger, attempt: attempt, discard: discard, results: make(chan result[T])}

	overtaken := make(chan result[T], 1)
	overtake := time.AfterFunc(lead, func() {
		defer cancel()
		value, err := r.others(ctx, make([]error, n), 0)
		overtaken <- result[T]{value: value, err: err}
	})
	value, err := attempt(ctx, 0)
	switch alone := overtake.Stop(); {
	case !alone:
		r.finish(ctx, 0, value, err)
		winner := <-overtaken
		return winner.value, winner.err
	case err == nil:
		return value, nil
	case outer.Err() != nil:
		return value, context.Cause(outer)
	}
	errs := make([]error, n)
	errs[0] = err
	return r.others(ctx, errs, 1)
}

// race is the state that the attempts share.
type race[T any] struct {
	n       int
	stagger time.Duration
	attempt func(ctx context.Context, i int) (T, error)
	discard func(T)
	results chan result[T] // unbuffered: a result is taken or discarded
}

type result[T any] struct {
	i     int
	value T
	err   error
}

// others starts the attempts behind attempt 0 and returns what First does. errs
// are by attempt, and so many have failed so far.
func (r *race[T]) others(ctx context.Context, errs []error, failed int) (T, error) {
	timer := time.NewTimer(r.stagger)
	defer timer.Stop()
	started := 1
	start := func() {
		if started == r.n {
			return
		}
		i := started
		started++
		timer.Reset(r.stagger)
		go func() {
			value, err := r.attempt(ctx, i)
			r.finish(ctx, i, value, err)
		}()
	}

	var none T
	start()
	for failed < r.n {
		select {
		case got := <-r.results:
			if got.err == nil {
				return got.value, nil
			}
			errs[got.i] = got.err
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

// finish delivers the result of attempt i, or discards it if it is too late.
func (r *race[T]) finish(ctx context.Context, i int, value T, err error) {
	select {
	case r.results <- result[T]{i, value, err}:
	case <-ctx.Done():
		if err == nil && r.discard != nil {
			r.discard(value)
		}
	}
}
