package resolver

import (
	"testing"
	"testing/synctest"
	"time"
)

// A machine without a clock of its own starts with a wrong time. Policies fetched
// after the clock has been set are stored with the right time.
func TestClockSetAfterTheStart(t *testing.T) {
	for name, wrong := range map[string]time.Duration{"behind": -30 * day, "ahead": 30 * day} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				st := w.memory()
				w.machine.SetWall(wrong)
				first := w.resolverWith(st)
				w.machine.SetWall(-wrong)
				w.publish("a.example", "1", policyText("enforce", "864000"))
				expect(t, first, "a.example", "enforce/1")
				k, _ := first.Known(hop(t, "a.example").Domain)
				if age := time.Since(k.Fetched); age < 0 || age > time.Second {
					t.Errorf("fetched %v ago", age)
				}
				first.Close()

				w.setTXT("a.example", txtAnswer{err: errServfail})
				w.setHost("a.example", hostAnswer{err: errRefused})
				second := w.resolverWith(st)
				time.Sleep(10*day - time.Second)
				expect(t, second, "a.example", "enforce/1")
				time.Sleep(2 * time.Second) // the file has whole seconds
				expect(t, second, "a.example", "-")
			})
		})
	}
}

// A policy that memory has keeps its life and its refresh, however the clock is set.
func TestClockSetWhileAPolicyLives(t *testing.T) {
	for name, step := range map[string]time.Duration{"forward": 400 * day, "back": -400 * day} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.publish("a.example", "1", policyText("enforce", "864000"))
				r := w.resolver()
				expect(t, r, "a.example", "enforce/1")
				time.Sleep(time.Hour)
				w.machine.SetWall(step)
				time.Sleep(time.Hour)
				if _, fetches := w.asked("a.example"); fetches != 1 {
					t.Errorf("%d fetches in the first hours, want 1", fetches)
				}
				time.Sleep(26 * time.Hour)
				if _, fetches := w.asked("a.example"); fetches != 2 {
					t.Errorf("%d fetches in a day and some hours, want 2", fetches)
				}
				expect(t, r, "a.example", "enforce/1")
			})
		})
	}
}
