// Package clocktest has machines for tests, whose clocks are set, suspended and
// booted at will.
package clocktest

import (
	"sync"
	"time"

	"mta-sts-daemon/resolver/clock"
)

// Machine has a wall clock and a time since boot. Both go on with the time that it
// was made with, which may be the fake time of testing/synctest. It is safe for
// concurrent use.
type Machine struct {
	now func() time.Time

	mu       sync.Mutex
	boot     string
	booted   time.Time     // by now
	suspends time.Duration // since boot
	wall     time.Duration // by which the wall clock differs from now
}

// NewMachine returns a Machine that booted so long ago and whose wall clock is
// right.
func NewMachine(now func() time.Time, boot string, ago time.Duration) *Machine {
	return &Machine{now: now, boot: boot, booted: now().Add(-ago)}
}

// Clock returns a new Clock of the machine, as a process has it that starts now.
func (m *Machine) Clock() *clock.Clock {
	m.mu.Lock()
	boot := m.boot
	m.mu.Unlock()
	return clock.New(clock.Source{Now: m.now, Wall: m.Wall, SinceBoot: m.sinceBoot, Boot: boot})
}

// Wall reads the wall clock.
func (m *Machine) Wall() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now().Add(m.wall)
}

func (m *Machine) sinceBoot() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now().Sub(m.booted) + m.suspends
}

// SetWall sets the wall clock by so much.
func (m *Machine) SetWall(by time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wall += by
}

// Suspend lets so much time pass during which the monotonic clock stands still.
func (m *Machine) Suspend(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.suspends += d
	m.wall += d
}

// Reboot begins another boot, with a wall clock that differs from the right time
// by off. Clocks made before must not be used any more.
func (m *Machine) Reboot(boot string, off time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.boot, m.booted, m.suspends, m.wall = boot, m.now(), 0, off
}
