package e2e

import (
	"fmt"
	"testing"
	"time"

	"mta-sts-daemon/e2e/internal/isolated"
)

// A store that daemons of a later version use too. This daemon accepts values
// with unknown fields, ignores values of an unknown schema, and does not
// overwrite those of a newer schema.
func TestSharedVersions(t *testing.T) {
	for _, p := range kvPrograms() {
		t.Run(p.name(), func(t *testing.T) {
			w := newBareWorld(t)
			p.suite.need(t)
			r := newRoot(t, p.suite)
			s := startKV(t, p, r, nil, "127.0.0.1:6379")
			m := newMailers(t, w, []*kvServer{s}, "redis://"+s.addr, withoutKey)
			defer m.stop(t)
			now := time.Now()
			plant := func(domain, schema string, at time.Time) (value string) {
				value = fmt.Sprintf("%d %s policy -\nid: 9\nrecheck: %d\nlater: 1\n\n%s",
					at.Unix(), schema, now.Add(time.Hour).Unix(), policy("enforce", "mx.planted.test"))
				s.do(t, "SET", "mta-sts:"+domain, value)
				s.do(t, "PUBLISH", "mta-sts:changes", domain+"\n"+value)
				return value
			}

			w.addMX("field.test", "mx.planted.test", "127.0.1.1") // or the daemon warns
			plant("field.test", "1", now)
			for _, n := range m.nodes {
				n.wantAnswer(t, "field.test", "OK secure match=mx.planted.test servername=hostname")
			}

			newer, older := m.open("newer.test"), m.open("older.test")
			newerValue := plant(newer, "2", now.Add(time.Minute))
			olderValue := plant(older, "2", now.Add(-time.Minute))
			for _, n := range m.nodes {
				n.wantAnswer(t, newer, secure(newer))
				n.wantAnswer(t, older, secure(older))
			}
			// Values are written in the order in which they were put.
			isolated.Eventually(t, "the older value is replaced", func() bool { return s.do(t, "GET", "mta-sts:"+older) != olderValue })
			if s.do(t, "GET", "mta-sts:"+newer) != newerValue {
				t.Error("the newer value was replaced")
			}
			m.awaitShared(t, older)
			m.wantNoOtherWarning(t)
		})
	}
}
