package shared

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"mta-sts-daemon/resolver/mtasts"
)

// masters are servers that are a cluster, with a part of the keys each.
type masters []*server

const clusterSlots = 16384

// startCluster starts three masters, of which each goes on if another is down.
func startCluster(t *testing.T, program []string) (all masters) {
	t.Helper()
	const count = 3
	for i := range count {
		s := start(t, program, "--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-require-full-coverage", "no", "--repl-diskless-sync-delay", "0")
		s.do(t, "CLUSTER", "SET-CONFIG-EPOCH", i+1)
		s.do(t, "CLUSTER", "ADDSLOTSRANGE", i*clusterSlots/count, (i+1)*clusterSlots/count-1)
		all = append(all, s)
		s.do(t, "CLUSTER", "MEET", "127.0.0.1", all[0].port)
	}
	all.await(t)
	return all
}

func (m masters) await(t *testing.T) {
	t.Helper()
	for _, s := range m {
		eventually(t, "the cluster is one", func() bool {
			info := fmt.Sprint(s.do(t, "CLUSTER", "INFO"))
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, fmt.Sprintf("cluster_known_nodes:%d", len(m)))
		})
	}
}

func (m masters) url() string {
	url := "redis+cluster://" + m[0].addr()
	for i, s := range m[1:] {
		url += "?&"[min(i, 1):min(i, 1)+1] + "addr=" + s.addr()
	}
	return url
}

// of returns the master that has the name's key.
func (m masters) of(t *testing.T, name string) *server {
	t.Helper()
	slot := m.slot(t, "mta-sts:"+name)
	return m[slot*len(m)/clusterSlots]
}

// slot returns the slot of a key. The first master knows as well as any.
func (m masters) slot(t *testing.T, key string) int {
	t.Helper()
	for _, s := range m {
		if slot, err := s.admin.ClusterKeySlot(t.Context(), key).Result(); err == nil {
			return int(slot)
		}
	}
	t.Fatal("no master answers")
	return 0
}

// domainOn returns a domain whose key is on the master, or on any other.
func (m masters) domainOn(t *testing.T, s *server, on bool) mtasts.Domain {
	t.Helper()
	for i := 0; ; i++ {
		name := fmt.Sprintf("d%d.example", i)
		if (m.of(t, name) == s) == on {
			return domain(t, name)
		}
	}
}

// Whichever of three masters is down, the domains on the others are read, written,
// purged and published as before, while much waits for the one that is down.
func TestClusterWithMasterDown(t *testing.T) {
	t.Parallel()
	for _, down := range []string{"a domain", everything, counterName, channel} {
		t.Run(down, func(t *testing.T) {
			t.Parallel()
			m := startCluster(t, anyServer(t))
			a, b := join(t, m.url()), join(t, m.url())
			works(t, a, b)
			dead := m.of(t, down)
			lost, kept := m.domainOn(t, dead, true), m.domainOn(t, dead, false)
			e := fetched(t, "1", time.Minute)
			a.Put(lost, e)
			a.Put(kept, e)
			a.settle(t)

			dead.kill()
			for range 100 {
				a.Put(lost, fetched(t, "2", time.Second))
			}
			eventually(t, "the outage is noticed", func() bool { return a.log.count(warning) == 1 })
			for range 100 {
				if a.Get(t.Context(), lost).Entry != nil {
					t.Fatal("a master that is down answers")
				}
				if v := a.Get(t.Context(), kept); v.Entry == nil {
					t.Fatal("a domain on another master is not known")
				}
			}
			a.Put(kept, fetched(t, "3", time.Second))
			eventually(t, "the other node receives a policy", func() bool {
				return b.received(func(c Change) bool { return c.Domain == kept && c.Value.Entry != nil && c.Value.Entry.ID == "3" })
			})
			ctx, cancel := context.WithTimeout(t.Context(), longTimeout)
			defer cancel()
			if _, err := a.Purge(ctx, kept); err != nil {
				t.Errorf("purge of a domain on another master: %v", err)
			}
			if v := b.Get(t.Context(), kept); v.Entry != nil || !v.Voids(time.Now(), 0) {
				t.Errorf("after the purge: %+v", v)
			}
			eventually(t, "the other node receives the purge", func() bool {
				return b.received(func(c Change) bool { return c.Domain == kept && c.Value.Number > 0 })
			})

			dead.run(t)
			m.await(t)
			eventually(t, "what waited is written", func() bool {
				v := b.Get(t.Context(), lost)
				return a.waiting() == 0 && v.Entry != nil && v.Entry.ID == "2"
			})
			eventually(t, "the recovery is logged", func() bool { return a.log.count(notice) == 1 })
		})
	}
}

// A master that is replaced by its replica is not asked any more: what waited for it is
// written to the replica, and the failure ends.
func TestClusterFailover(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, program []string) {
		t.Parallel()
		m := startCluster(t, program)
		old := m[0]
		replica := start(t, program, "--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-require-full-coverage", "no", "--repl-diskless-sync-delay", "0")
		replica.do(t, "CLUSTER", "MEET", "127.0.0.1", m[1].port)
		id := fmt.Sprint(old.do(t, "CLUSTER", "MYID"))
		eventually(t, "the replica follows", func() bool {
			replica.admin.ClusterReplicate(t.Context(), id)
			return strings.Contains(fmt.Sprint(replica.do(t, "INFO", "replication")), "master_link_status:up")
		})
		for _, s := range m {
			eventually(t, "all masters, which elect it, know the replica", func() bool {
				return strings.Contains(fmt.Sprint(s.do(t, "CLUSTER", "NODES")), " slave "+id)
			})
		}
		a, b := join(t, m.url()), join(t, m.url())
		works(t, a, b)
		d := m.domainOn(t, old, true)
		old.kill()
		a.Put(d, fetched(t, "2", time.Second))
		eventually(t, "the replica has what waited", func() bool {
			v := b.Get(t.Context(), d)
			return v.Entry != nil && v.Entry.ID == "2"
		})
		a.purge(t, d)
		if v := b.Get(t.Context(), d); v.Entry != nil {
			t.Errorf("after the purge: %+v", v)
		}
		eventually(t, "nothing fails any more", func() bool {
			return a.Err() == nil && a.log.count(warning) == a.log.count(notice)
		})
	})
}
