package resolver

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"mta-sts-daemon/resolver/store"
)

// machineRun is a machine with a policy file, on which one daemon after the other runs.
type machineRun struct {
	*world
	path  string
	store *store.Store
	r     *Resolver
}

// onMachine runs a test on a machine with a policy file. After cutOff every
// question fails, so that answers come from stored state alone.
func onMachine(t *testing.T, test func(t *testing.T, m *machineRun)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := &machineRun{world: newWorld(t), path: filepath.Join(t.TempDir(), "policies.db")}
		defer m.stop()
		test(t, m)
	})
}

// start starts the daemon.
func (m *machineRun) start() {
	m.t.Helper()
	st, err := store.Open(m.path, m.machine.Clock(), slog.New(slog.NewTextHandler(m.world, nil)))
	if err != nil {
		m.t.Fatal(err)
	}
	m.store = st
	m.r = m.resolverWith(st)
	synctest.Wait()
}

func (m *machineRun) stop() {
	m.t.Helper()
	if m.store == nil {
		return
	}
	m.r.Close()
	if err := m.store.Close(); err != nil {
		m.t.Error(err)
	}
	m.store = nil
}

func (m *machineRun) restart() {
	m.stop()
	m.start()
}

// reboot boots the machine again, with a wall clock that is wrong by off.
func (m *machineRun) reboot(boot string, off time.Duration) {
	m.stop()
	m.machine.Reboot(boot, off)
	m.start()
}

// cutOff lets nothing be learned of the domain any more.
func (m *machineRun) cutOff(domain string) {
	m.setTXT(domain, txtAnswer{err: errServfail})
	m.setHost(domain, hostAnswer{err: errRefused})
}

// evict pushes every policy out of memory.
func (m *machineRun) evict() {
	m.t.Helper()
	for i := range 8 {
		d := fmt.Sprintf("filler%d.example", i)
		m.publish(d, "1", policyText("enforce", "31557600"))
		expect(m.t, m.r, d, "enforce/1")
	}
}

// variants are the ways in which what memory knows is read from the file again.
var variants = map[string]func(m *machineRun){
	"in memory": func(*machineRun) {},
	"evicted":   (*machineRun).evict,
	"restarted": (*machineRun).restart,
}

// A slow clock, a policy fetched, NTP sets the clock.
func TestClockSetAfterAFetch(t *testing.T) {
	for name, again := range variants {
		for _, wrong := range []time.Duration{-2 * day, 2 * day, -400 * day, 400 * day} {
			t.Run(fmt.Sprintf("%s, off by %v", name, wrong), func(t *testing.T) {
				onMachine(t, func(t *testing.T, m *machineRun) {
					m.machine.SetWall(wrong)
					m.start()
					m.publish("a.example", "1", policyText("enforce", "86400"))
					expect(t, m.r, "a.example", "enforce/1")
					m.cutOff("a.example")
					time.Sleep(10 * time.Second)
					m.machine.SetWall(-wrong)
					time.Sleep(10 * time.Second)
					again(m)
					expect(t, m.r, "a.example", "enforce/1")
					time.Sleep(23 * time.Hour)
					again(m)
					expect(t, m.r, "a.example", "enforce/1")
					time.Sleep(time.Hour)
					expect(t, m.r, "a.example", "-")
				})
			})
		}
	}
}

// The same over a reboot: the fetch's wall time was corrected when the clock was set.
func TestClockSetBeforeAReboot(t *testing.T) {
	onMachine(t, func(t *testing.T, m *machineRun) {
		m.machine.SetWall(-2 * day)
		m.start()
		m.publish("a.example", "1", policyText("enforce", "86400"))
		expect(t, m.r, "a.example", "enforce/1")
		m.cutOff("a.example")
		m.machine.SetWall(2 * day)
		time.Sleep(time.Minute)
		m.reboot("boot 2", 0)
		expect(t, m.r, "a.example", "enforce/1")
		time.Sleep(24 * time.Hour)
		expect(t, m.r, "a.example", "-")
	})
}

// A boot with a clock that is ahead, set right after minutes.
func TestBootAhead(t *testing.T) {
	for _, ahead := range []time.Duration{12 * day, 60 * day, 4000 * day} {
		for _, used := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v, used %v", ahead, used), func(t *testing.T) {
				onMachine(t, func(t *testing.T, m *machineRun) {
					m.start()
					m.publish("a.example", "1", policyText("enforce", "86400"))
					expect(t, m.r, "a.example", "enforce/1")
					m.cutOff("a.example")
					time.Sleep(time.Hour)
					m.reboot("boot 2", ahead)
					if used {
						expect(t, m.r, "a.example", "-")
					}
					time.Sleep(2 * time.Minute)
					m.machine.SetWall(-ahead)
					// The first lookup after the step knows it.
					expect(t, m.r, "a.example", "enforce/1")
					m.restart()
					expect(t, m.r, "a.example", "enforce/1")
					time.Sleep(22 * time.Hour)
					expect(t, m.r, "a.example", "enforce/1")
					time.Sleep(2 * time.Hour)
					expect(t, m.r, "a.example", "-")
				})
			})
		}
	}
}

// A boot with a clock that is behind, such as that of a machine without a battery.
func TestBootBehind(t *testing.T) {
	onMachine(t, func(t *testing.T, m *machineRun) {
		m.start()
		m.publish("a.example", "1", policyText("enforce", "86400"))
		expect(t, m.r, "a.example", "enforce/1")
		m.cutOff("a.example")
		time.Sleep(10 * time.Hour)
		m.reboot("boot 2", -20000*day)
		expect(t, m.r, "a.example", "enforce/1")
		time.Sleep(2 * time.Minute)
		m.machine.SetWall(20000 * day)
		time.Sleep(10 * time.Second)
		expect(t, m.r, "a.example", "enforce/1")
		time.Sleep(14 * time.Hour) // judged by the right clock again
		expect(t, m.r, "a.example", "-")
	})
}

// A clock that stays behind lets a policy of an earlier boot live no longer than its
// max_age from the start of the daemon.
func TestBootBehindForGood(t *testing.T) {
	for name, again := range variants {
		if name == "restarted" {
			continue // each start begins again
		}
		t.Run(name, func(t *testing.T) {
			onMachine(t, func(t *testing.T, m *machineRun) {
				m.start()
				m.publish("a.example", "1", policyText("enforce", "86400"))
				expect(t, m.r, "a.example", "enforce/1")
				m.cutOff("a.example")
				m.reboot("boot 2", -20000*day)
				for range 9 {
					time.Sleep(day / 10)
					again(m)
					expect(t, m.r, "a.example", "enforce/1")
				}
				time.Sleep(day/10 + time.Minute)
				again(m)
				expect(t, m.r, "a.example", "-")
			})
		})
	}
}

// A glitch of the clock of a running daemon deletes nothing, in the
// LRU or not, and nothing is deleted in the first day of a boot.
func TestClockGlitch(t *testing.T) {
	for name, again := range variants {
		t.Run(name, func(t *testing.T) {
			onMachine(t, func(t *testing.T, m *machineRun) {
				m.start()
				m.publish("a.example", "1", policyText("enforce", "864000"))
				expect(t, m.r, "a.example", "enforce/1")
				m.cutOff("a.example")
				m.reboot("boot 2", 0)
				again(m)
				time.Sleep(time.Hour)
				m.machine.SetWall(60 * day)
				time.Sleep(2 * time.Minute)
				m.machine.SetWall(-60 * day)
				time.Sleep(10 * time.Second)
				again(m)
				expect(t, m.r, "a.example", "enforce/1")
			})
		})
	}
}

// A policy that seems to have ended, because the clock is wrong, comes back with the right
// clock, whatever was learned of the domain meanwhile.
func TestAbsenceEndsWithAStep(t *testing.T) {
	for name, again := range variants {
		t.Run(name, func(t *testing.T) {
			onMachine(t, func(t *testing.T, m *machineRun) {
				m.start()
				m.publish("a.example", "1", policyText("enforce", "8640000"))
				expect(t, m.r, "a.example", "enforce/1")
				m.reboot("boot 2", 400*day)
				m.setTXT("a.example", txtAnswer{ttl: time.Hour})
				expect(t, m.r, "a.example", "-")
				again(m)
				m.machine.SetWall(-400 * day)
				time.Sleep(10 * time.Second)
				expect(t, m.r, "a.example", "enforce/1")
			})
		})
	}
}

// The end of a policy is reported although it seemed to have ended before, by a wrong clock.
func TestEndIsReportedAfterAStep(t *testing.T) {
	for name, again := range variants {
		t.Run(name, func(t *testing.T) {
			onMachine(t, func(t *testing.T, m *machineRun) {
				m.start()
				m.publish("a.example", "1", policyText("enforce", "86400"))
				expect(t, m.r, "a.example", "enforce/1")
				m.cutOff("a.example")
				m.reboot("boot 2", 400*day)
				expect(t, m.r, "a.example", "-")
				m.expectLogged("Policy expired", 1)
				again(m)
				m.machine.SetWall(-400 * day)
				time.Sleep(10 * time.Second)
				expect(t, m.r, "a.example", "enforce/1")
				again(m)
				time.Sleep(day)
				again(m)
				expect(t, m.r, "a.example", "-")
				m.expectLogged("Policy expired", 2)
			})
		})
	}
}

// A failure of an earlier boot, whose clock was ahead of the present one, delays no attempt
// once its policy has ended.
func TestFailureOfAClockAhead(t *testing.T) {
	onMachine(t, func(t *testing.T, m *machineRun) {
		m.start()
		m.publish("a.example", "1", policyText("enforce", "1200"))
		expect(t, m.r, "a.example", "enforce/1")
		m.setHost("a.example", hostAnswer{err: errRefused})
		time.Sleep(14 * time.Minute)
		if m.r.RefreshFailing() != 1 {
			t.Fatal("its refresh has not failed")
		}
		m.reboot("boot 2", -day)
		time.Sleep(25 * time.Minute)
		m.setHost("a.example", hostAnswer{text: policyText("enforce", "1200")})
		expect(t, m.r, "a.example", "enforce/1")
	})
}

// What expired long ago is deleted once the clock can be believed.
func TestExpiredIsDeletedInTheEnd(t *testing.T) {
	onMachine(t, func(t *testing.T, m *machineRun) {
		m.start()
		m.publish("a.example", "1", policyText("enforce", "864000"))
		expect(t, m.r, "a.example", "enforce/1")
		m.cutOff("a.example")
		m.stop()
		time.Sleep(50 * day)
		m.machine.Reboot("boot 2", 0)
		m.start()
		time.Sleep(23 * time.Hour)
		expectKnown(t, m.r, "a.example", "enforce/1")
		m.restart() // restarts do not begin the day again
		time.Sleep(2 * day)
		expectKnown(t, m.r, "a.example", "")
	})
}

// A fetch that was under way during a suspend failed after it, not before.
func TestFailureAfterASuspend(t *testing.T) {
	onMachine(t, func(t *testing.T, m *machineRun) {
		m.start()
		m.publish("a.example", "1", "<html>")
		m.setHost("a.example", hostAnswer{text: "<html>", delay: 2 * time.Second})
		time.AfterFunc(time.Second, func() { m.machine.Suspend(9 * day) })
		expect(t, m.r, "a.example", "-")
		time.Sleep(2 * observeInterval)
		expect(t, m.r, "a.example", "-")
		if _, fetches := m.asked("a.example"); fetches != 1 {
			t.Errorf("%d fetches in a few seconds, want 1", fetches)
		}
	})
}

// A fetch that failed while a wrong clock had ended the policy is shown with the policy.
func TestFailureWhileTheClockIsAhead(t *testing.T) {
	onMachine(t, func(t *testing.T, m *machineRun) {
		m.start()
		m.publish("a.example", "1", policyText("enforce", "864000"))
		expect(t, m.r, "a.example", "enforce/1")
		m.reboot("boot 2", 400*day)
		m.setHost("a.example", hostAnswer{text: "<html>"})
		expect(t, m.r, "a.example", "-")
		m.machine.SetWall(-400 * day)
		time.Sleep(2 * observeInterval)
		expectKnown(t, m.r, "a.example", "enforce/1")
		if k, _ := m.r.Known(hop(t, "a.example").Domain); k.Failure == nil {
			t.Error("no failure is known")
		}
	})
}

// A fetch for a new id that fails when the clock has just been set right, so that the policy before is
// live again, is followed by a pause like any other (RFC 8461 section 3.3).
func TestFetchFailsAfterAStep(t *testing.T) {
	onMachine(t, func(t *testing.T, m *machineRun) {
		m.start()
		m.publish("a.example", "1", policyText("enforce", "864000"))
		expect(t, m.r, "a.example", "enforce/1")
		time.Sleep(time.Hour)
		m.reboot("boot 2", 100*day)
		m.publish("a.example", "2", "")
		m.setHost("a.example", hostAnswer{err: errRefused, delay: 5 * time.Second})
		go expect(t, m.r, "a.example", "enforce/1")
		time.Sleep(time.Second)
		m.machine.SetWall(-100 * day)
		for range 4 {
			time.Sleep(time.Minute)
			expect(t, m.r, "a.example", "enforce/1")
		}
		m.expectAsked("a.example", 2, 2)
		time.Sleep(2 * time.Minute)
		expect(t, m.r, "a.example", "enforce/1")
		m.expectAsked("a.example", 3, 3)
	})
}

// A policy ends during a suspend.
func TestSuspendEndsAPolicy(t *testing.T) {
	for name, again := range variants {
		t.Run(name, func(t *testing.T) {
			onMachine(t, func(t *testing.T, m *machineRun) {
				m.start()
				m.publish("a.example", "1", policyText("enforce", "864000"))
				expect(t, m.r, "a.example", "enforce/1")
				m.cutOff("a.example")
				m.machine.Suspend(9 * day)
				time.Sleep(2 * observeInterval)
				again(m)
				expect(t, m.r, "a.example", "enforce/1")
				m.machine.Suspend(day)
				time.Sleep(2 * observeInterval)
				again(m)
				expect(t, m.r, "a.example", "-")
			})
		})
	}
}

// Refreshes follow the time that passes, not the wall clock.
func TestRefreshAfterAStep(t *testing.T) {
	for name, again := range variants {
		for _, step := range []time.Duration{-100 * day, 100 * day} {
			t.Run(fmt.Sprintf("%s, %v", name, step), func(t *testing.T) {
				onMachine(t, func(t *testing.T, m *machineRun) {
					m.start()
					m.publish("a.example", "1", policyText("enforce", "864000"))
					expect(t, m.r, "a.example", "enforce/1")
					m.machine.SetWall(step)
					time.Sleep(time.Minute)
					again(m)
					time.Sleep(20 * time.Hour)
					if _, fetches := m.asked("a.example"); fetches != 1 {
						t.Errorf("%d fetches in 20 h", fetches)
					}
					time.Sleep(8 * time.Hour)
					if _, fetches := m.asked("a.example"); fetches != 2 {
						t.Errorf("%d fetches in 28 h", fetches)
					}
				})
			})
		}
	}
}

// A policy that was fetched while the clock was ahead, in an earlier boot, is refreshed
// although nobody looks it up.
func TestFetchedByAClockAhead(t *testing.T) {
	onMachine(t, func(t *testing.T, m *machineRun) {
		m.machine.SetWall(100 * day)
		m.start()
		m.publish("a.example", "1", policyText("enforce", "864000"))
		expect(t, m.r, "a.example", "enforce/1")
		time.Sleep(time.Minute)
		m.reboot("boot 2", 0)
		time.Sleep(3 * day)
		if _, fetches := m.asked("a.example"); fetches < 3 {
			t.Errorf("%d fetches", fetches)
		}
	})
}

// A recheck time written by a clock that was ahead does not delay the recheck,
// however often the policy is evicted.
func TestRecheckOfAClockAhead(t *testing.T) {
	onMachine(t, func(t *testing.T, m *machineRun) {
		m.machine.SetWall(100 * day)
		m.start()
		m.publish("a.example", "1", policyText("enforce", "864000"))
		expect(t, m.r, "a.example", "enforce/1")
		m.reboot("boot 2", 0)
		before, _ := m.asked("a.example")
		for range 10 {
			expect(t, m.r, "a.example", "enforce/1")
			m.evict()
			time.Sleep(30 * time.Minute)
		}
		if queries, _ := m.asked("a.example"); queries < before+3 {
			t.Errorf("the record was asked for %d times in five hours of use", queries-before)
		}
	})
}
