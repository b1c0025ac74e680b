package resolver

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestFirstLookup(t *testing.T) {
	enforce := policyText("enforce", "86400")
	record := []string{"v=STSv1; id=1;"}
	for _, tc := range []struct {
		name    string
		txt     txtAnswer
		host    hostAnswer
		want    string
		fetches int
	}{
		{"enforce", txtAnswer{records: record}, hostAnswer{text: enforce}, "enforce/1", 1},
		{"testing", txtAnswer{records: record}, hostAnswer{text: policyText("testing", "86400")}, "testing/1", 1},
		{"none", txtAnswer{records: record}, hostAnswer{text: policyText("none", "86400")}, "none/1", 1},
		{"beside other TXT records", txtAnswer{records: append([]string{"v=spf1 -all"}, record...)}, hostAnswer{text: enforce}, "enforce/1", 1},
		{"no record", txtAnswer{}, hostAnswer{}, "-", 0},
		{"another record", txtAnswer{records: []string{"v=spf1 -all"}}, hostAnswer{}, "-", 0},
		{"two records", txtAnswer{records: append(record, record...)}, hostAnswer{}, "-", 0},
		{"malformed record", txtAnswer{records: []string{"v=STSv1; id=a-b;"}}, hostAnswer{}, "-", 0},
		{"DNS fails", txtAnswer{err: errServfail}, hostAnswer{}, "-", 0},
		{"fetch fails", txtAnswer{records: record}, hostAnswer{err: errRefused}, "-", 1},
		{"invalid policy", txtAnswer{records: record}, hostAnswer{text: "<html>"}, "-", 1},
		{"max_age 0", txtAnswer{records: record}, hostAnswer{text: policyText("enforce", "0")}, "enforce/", 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.setTXT("a.example", tc.txt)
				w.setHost("a.example", tc.host)
				r := w.resolver()
				expect(t, r, "a.example", tc.want)
				w.expectAsked("a.example", 1, tc.fetches)
				expect(t, r, "sub.a.example", "-") // nothing is inherited
				w.expectAsked("sub.a.example", 1, 0)
			})
		})
	}
}

func TestNameTooLongToPublish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.resolver()
		longest := strings.Repeat("a.", 120) + "abcd" // 244 bytes: "_mta-sts." still fits
		expect(t, r, longest, "-")
		w.expectAsked(longest, 1, 0)
		expect(t, r, longest+"e", "-")
		w.expectAsked(longest+"e", 0, 0)
	})
}

func TestManyLookupsOneDiscovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish("a.example", "1", policyText("enforce", "86400"))
		w.setHost("a.example", hostAnswer{text: policyText("enforce", "86400"), delay: time.Second})
		r := w.resolver()
		for range 500 {
			go expect(t, r, "a.example", "enforce/1")
		}
		time.Sleep(time.Minute)
		w.expectAsked("a.example", 1, 1)
		w.expectLogged("Policy found", 1)
	})
}

func TestSlowDiscoveryGoesOnBehindTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish("a.example", "1", policyText("enforce", "86400"))
		w.setHost("a.example", hostAnswer{text: policyText("enforce", "86400"), delay: 12 * time.Second})
		r := w.resolver()
		if mode, took := lookUp(t, r, "a.example"); mode != "-" || took != 8*time.Second {
			t.Errorf("%s after %v, want no policy after 8s", mode, took)
		}
		if mode, took := lookUp(t, r, "a.example"); mode != "enforce/1" || took != 4*time.Second {
			t.Errorf("%s after %v, want the policy 4s later", mode, took)
		}
		w.expectAsked("a.example", 1, 1)
	})
}

func TestLookupGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.setTXT("a.example", txtAnswer{delay: time.Hour})
		r := w.resolver()
		gone := errors.New("gone")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, gone)
		defer cancel()
		if a, err := r.Resolve(ctx, hop(t, "a.example")); !errors.Is(err, gone) {
			t.Errorf("Resolve: %v, %v", a, err)
		}
	})
}

func TestCloseEndsDiscoveries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.setTXT("a.example", txtAnswer{delay: time.Hour})
		r := w.resolver()
		start := time.Now()
		lookUp(t, r, "a.example")
		r.Close()
		if took := time.Since(start); took != 8*time.Second {
			t.Errorf("closed after %v", took)
		}
		expect(t, r, "b.example", "-")
		w.expectAsked("b.example", 0, 0)
	})
}

// A discovery that Close interrupts is not a failure of the domain.
func TestCloseCutsShortWithoutBlame(t *testing.T) {
	for _, tc := range []struct {
		name string
		txt  txtAnswer
	}{
		{"record", txtAnswer{delay: time.Hour}},
		{"policy", txtAnswer{records: []string{"v=STSv1; id=2"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				st := w.memory()
				w.publish("a.example", "1", policyText("enforce", "864000"))
				r := w.resolverWith(st)
				expect(t, r, "a.example", "enforce/1")
				before, _ := st.Get(hop(t, "a.example").Domain)
				w.setTXT("a.example", tc.txt)
				w.setHost("a.example", hostAnswer{delay: time.Hour})
				time.Sleep(5 * time.Minute)
				expect(t, r, "a.example", "enforce/1") // while the recheck goes on behind
				r.Close()
				after, _ := st.Get(before.Domain)
				if after.FailedID != "" || after.Failures != 0 || after.Next != before.Next {
					t.Errorf("saved: %+v, before: %+v", after, before)
				}
				w.expectLogged("level=WARN", 0)
			})
		})
	}
}

func TestAbsenceIsNeverBelievedTooLong(t *testing.T) {
	for _, tc := range []struct {
		name string
		txt  txtAnswer
		life time.Duration
	}{
		{"no record, no SOA", txtAnswer{}, time.Minute},
		{"no record, short SOA", txtAnswer{ttl: 5 * time.Second}, time.Minute},
		{"no record", txtAnswer{ttl: 10 * time.Minute}, 10 * time.Minute},
		{"no record, long SOA", txtAnswer{ttl: 24 * time.Hour}, time.Hour},
		{"two records", txtAnswer{records: []string{"v=STSv1; id=1", "v=STSv1; id=2"}, ttl: 5 * time.Minute}, 5 * time.Minute},
		{"DNS fails", txtAnswer{err: errServfail}, 30 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.setTXT("a.example", tc.txt)
				r := w.resolver()
				expect(t, r, "a.example", "-")
				w.publish("a.example", "1", policyText("enforce", "86400"))
				time.Sleep(tc.life - time.Nanosecond)
				expect(t, r, "a.example", "-")
				w.expectAsked("a.example", 1, 0)
				time.Sleep(time.Nanosecond)
				expect(t, r, "a.example", "enforce/1")
			})
		})
	}
}

// RFC 8461 section 3.3: one attempt per id in five minutes. A new id is tried
// as soon as the DNS may return it.
func TestFailedFetchIsNotRepeatedForItsID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish("a.example", "1", "")
		w.setTXT("a.example", txtAnswer{records: []string{"v=STSv1; id=1"}, ttl: time.Minute})
		w.setHost("a.example", hostAnswer{err: errRefused})
		r := w.resolver()
		for range 300 { // five minutes less a second
			expect(t, r, "a.example", "-")
			time.Sleep(time.Second - time.Millisecond*4)
		}
		w.expectAsked("a.example", 5, 1)
		w.expectLogged("could not be fetched", 1)
		time.Sleep(2 * time.Second)
		expect(t, r, "a.example", "-")
		w.expectAsked("a.example", 6, 2)
		w.expectLogged("could not be fetched", 1)

		w.publish("a.example", "2", policyText("enforce", "86400"))
		time.Sleep(time.Minute)
		expect(t, r, "a.example", "enforce/2")
		w.expectAsked("a.example", 7, 3)
	})
}

// The record's absence meanwhile does not matter.
func TestFailedFetchIsNotRepeatedAfterAnAbsence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		record := txtAnswer{records: []string{"v=STSv1; id=1"}, ttl: time.Minute}
		w.publish("a.example", "1", policyText("enforce", "86400"))
		w.setHost("a.example", hostAnswer{err: errRefused})
		r := w.resolver()
		for _, answer := range []txtAnswer{record, {ttl: time.Minute}, record} {
			w.setTXT("a.example", answer)
			expect(t, r, "a.example", "-")
			time.Sleep(time.Minute + time.Second)
		}
		w.expectAsked("a.example", 3, 1)
		time.Sleep(2 * time.Minute)
		expect(t, r, "a.example", "-")
		w.expectAsked("a.example", 4, 2)
	})
}

// A host that keeps failing is tried every five minutes while the domain has no
// policy, also if it had one and failed until its end, at last once an hour.
func TestFailedFetchIsNotPutOffWithoutAPolicy(t *testing.T) {
	for name, before := range map[string]time.Duration{"never one": 0, "one that ended": 10 * day} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.publish("a.example", "1", policyText("enforce", "864000"))
				w.setTXT("a.example", txtAnswer{records: []string{"v=STSv1; id=1"}, ttl: time.Minute})
				r := w.resolver()
				if before > 0 {
					expect(t, r, "a.example", "enforce/1")
				}
				w.setHost("a.example", hostAnswer{err: errRefused})
				time.Sleep(before)
				_, already := w.asked("a.example")
				for range 2 * 60 {
					expect(t, r, "a.example", "-")
					time.Sleep(time.Minute)
				}
				_, fetches := w.asked("a.example")
				if fetches -= already; fetches < 2*12-1 || fetches > 2*12 {
					t.Errorf("%d fetches in two hours, want one in five minutes", fetches)
				}
				w.setHost("a.example", hostAnswer{text: policyText("enforce", "864000")})
				time.Sleep(5 * time.Minute)
				expect(t, r, "a.example", "enforce/1")
			})
		})
	}
}

// A success ends a row of failures.
func TestFailuresAreCountedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish("a.example", "1", policyText("enforce", "864000"))
		w.setHost("a.example", hostAnswer{err: errRefused})
		r := w.resolver()
		for range 4 {
			expect(t, r, "a.example", "-")
			time.Sleep(5 * time.Minute)
		}
		w.setHost("a.example", hostAnswer{text: policyText("enforce", "864000")})
		expect(t, r, "a.example", "enforce/1")
		w.setHost("a.example", hostAnswer{err: errRefused})
		if err := r.Refresh(t.Context(), hop(t, "a.example").Domain); !errors.Is(err, errRefused) {
			t.Error(err)
		}
		if k, _ := r.Known(hop(t, "a.example").Domain); k.Failure.Count != 1 {
			t.Errorf("%d failures in a row", k.Failure.Count)
		}
	})
}

func TestFloodOfAbsencesEvictsNoPolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish("a.example", "1", policyText("enforce", "86400"))
		r := w.resolver() // room for 4 of each
		expect(t, r, "a.example", "enforce/1")
		for _, label := range strings.Split("bcdefghijklmnop", "") {
			expect(t, r, label+".example", "-")
		}
		w.setTXT("a.example", txtAnswer{err: errServfail})
		expect(t, r, "a.example", "enforce/1")
		w.expectAsked("a.example", 1, 1)
		if n := w.metrics("mta_sts_cache_entries")["negative"]; n != 4 {
			t.Errorf("%v absences in memory, want 4", n)
		}
	})
}

func TestConfigure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish("a.example", "1", policyText("enforce", "86400"))
		w.setHost("a.example", hostAnswer{delay: time.Hour})
		r := w.resolver()
		s := *r.settings.Load()
		s.AnswerTimeout = time.Second
		r.Configure(s)
		if mode, took := lookUp(t, r, "a.example"); mode != "-" || took != time.Second {
			t.Errorf("%s after %v", mode, took)
		}
	})
}
