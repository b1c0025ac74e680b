package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"mta-sts-daemon/e2e/bench/internal/bed"
	"mta-sts-daemon/e2e/bench/internal/load"
	"mta-sts-daemon/socketmap"
	"mta-sts-daemon/socketmap/tlspolicy"
)

// tally is the result of lookups.
type tally struct {
	lookups     int
	refused     int            // lookups that had to wait because nobody listened
	wrong       []string       // lookups without their right answer
	spread      load.Histogram // how long until all nodes had a policy
	onlyLookups bool           // the nodes did nothing else
}

func (t *tally) add(other tally) {
	t.lookups += other.lookups
	t.refused += other.refused
	t.wrong = append(t.wrong, other.wrong...)
}

// mailer asks one node as Postfix does: over one connection, and once more over a new one
// when that breaks.
type mailer struct {
	addr string
	conn *socketmap.Client
	tally
}

// mapName is the socketmap's name in lookups as those of Postfix.
const mapName = "postfix"

// refusedPause is how long a lookup waits until it connects again.
const refusedPause = 10 * time.Millisecond

// mailers calls ask for each connection to each node, in parallel.
func (f *fleet) mailers(ask func(node, connection int, m *mailer)) *tally {
	var all sync.WaitGroup
	var mu sync.Mutex
	total := &tally{}
	for node := range f.nodes {
		for connection := range f.connections {
			all.Go(func() {
				m := &mailer{addr: nodeAddr(node)}
				defer m.close()
				ask(node, connection, m)
				mu.Lock()
				defer mu.Unlock()
				total.add(m.tally)
			})
		}
	}
	all.Wait()
	return total
}

// check looks a domain up and counts whether it got the right answer.
func (m *mailer) check(domain, want string) {
	m.lookups++
	if answer, err := m.lookup(mapName, domain); err != nil || answer != want {
		m.wrong = append(m.wrong, fmt.Sprintf("%s at %s: %q, %v; want %q", domain, m.addr, answer, err, want))
	}
}

// lookup waits while nobody listens, which for Postfix defers the message. An error is a
// lookup lost.
func (m *mailer) lookup(table, key string) (answer string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	retried, refused := false, false
	for {
		answer, err = m.try(ctx, table, key)
		switch {
		case err == nil, ctx.Err() != nil:
			return answer, err
		case errors.Is(err, syscall.ECONNREFUSED):
			if !refused {
				m.refused++
			}
			refused = true
			time.Sleep(refusedPause)
		case retried:
			return "", err
		default:
			retried = true
		}
	}
}

func (m *mailer) try(ctx context.Context, table, key string) (answer string, err error) {
	if m.conn == nil {
		if m.conn, err = socketmap.Dial(ctx, "tcp", m.addr); err != nil {
			m.conn = nil
			return "", err
		}
	}
	reply, err := m.conn.Lookup(ctx, table, key)
	if err != nil {
		m.close()
		return "", err
	}
	return fmt.Sprintf("%s %s", reply.Status, reply.Data), nil
}

func (m *mailer) close() {
	if m.conn != nil {
		m.conn.Close()
		m.conn = nil
	}
}

// name returns the name of the n-th domain.
func (f *fleet) name(n uint32) string {
	if n < f.policies() {
		return bed.Domain(n)
	}
	return string(bed.AppendAbsent(nil, n))
}

// want returns the right answer for it.
func (f *fleet) want(n uint32) string {
	domain := f.name(n)
	switch {
	case n >= f.policies():
		return "NOTFOUND "
	case f.renewed[domain]:
		return "OK " + bed.RenewedAnswer(domain)
	default:
		return "OK " + bed.Answer(domain)
	}
}

// spread has one node after the other look up a domain with a new id, and measures how much
// later all of them have the new policy. It asks the others by a name without side effects.
func (f *fleet) spread(domains []uint32) (*tally, error) {
	t := &tally{}
	var mailers []*mailer
	for node := range f.nodes {
		m := &mailer{addr: nodeAddr(node)}
		defer m.close()
		mailers = append(mailers, m)
	}
	for _, n := range domains {
		domain, want := f.name(n), f.want(n)
		first := mailers[int(n)%f.nodes]
		first.check(domain, want)
		answered := time.Now()
		for _, m := range mailers {
			if err := m.await(domain, want); err != nil {
				return nil, err
			}
		}
		t.spread.Add(time.Since(answered))
	}
	for _, m := range mailers {
		t.add(m.tally)
	}
	return t, nil
}

func (m *mailer) await(domain, want string) error {
	for deadline := time.Now().Add(patience); ; {
		answer, err := m.lookup(tlspolicy.PeekMap, domain)
		switch {
		case err != nil:
			return err
		case answer == want:
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("%s: %s is still %q", m.addr, domain, answer)
		}
	}
}
