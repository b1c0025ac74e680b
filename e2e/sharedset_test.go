package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// A master, its replica and three sentinels: when the master goes the sentinels
// make the replica the master, and the fleet follows.
func TestSharedSentinels(t *testing.T) {
	p := redisServer()
	w := newBareWorld(t)
	p.suite.need(t)
	r := newRoot(t, p.suite)
	master := startKV(t, p, r, nil, "127.0.0.1:6379")
	replica := startKV(t, p, r, nil, "127.0.0.1:6380", "--replicaof", "127.0.0.1", "6379", "--repl-diskless-sync-delay", "0")
	replica.eventually(t, "the replica follows", func() bool {
		return replica.says(t, []string{"master_link_status:up"}, "INFO", "replication")
	})
	url := startSentinels(t, p, r)
	m := newMailers(t, w, []*kvServer{master, replica}, url, withKey)
	defer m.stop(t)
	m.learn(t, sharedKnown)
	m.wantOnce(t)
	table := newSharedTable()
	table.add(m.suffer(t, "master killed, replica made master", func() func() {
		master.kill(t)
		return func() {
			replica.eventually(t, "the replica is the master", func() bool {
				return replica.says(t, []string{"role:master"}, "INFO", "replication")
			})
		}
	}))
	table.log(t, p.name()+", master, replica and three sentinels")
}

// startSentinels starts three that watch the master, and returns their URL.
func startSentinels(t *testing.T, p kvProgram, r *root) (url string) {
	t.Helper()
	var sentinels []*kvServer
	for i := range 3 {
		s := startKV(t, p, r, nil, fmt.Sprintf("127.0.0.1:%d", 26379+i), "--sentinel")
		s.do(t, "SENTINEL", "MONITOR", "mail", "127.0.0.1", 6379, 2)
		s.do(t, "SENTINEL", "SET", "mail", "down-after-milliseconds", 500)
		s.do(t, "SENTINEL", "SET", "mail", "failover-timeout", 2000)
		sentinels = append(sentinels, s)
	}
	for _, s := range sentinels {
		s.eventually(t, "the sentinels know all", func() bool {
			return s.says(t, []string{"num-slaves:1", "num-other-sentinels:2"}, "SENTINEL", "MASTER", "mail")
		})
	}
	return "redis+sentinel://" + sentinels[0].addr + "?addr=" + sentinels[1].addr + "&addr=" + sentinels[2].addr + "&master=mail"
}

// Three masters with a third of the keys each, of which one goes.
func TestSharedCluster(t *testing.T) {
	p := valkeyServer()
	w := newBareWorld(t)
	p.suite.need(t)
	servers := startCluster(t, p, newRoot(t, p.suite))
	url := "redis+cluster://mta:secret@" + servers[0].addr + "?addr=" + servers[1].addr
	m := newMailers(t, w, servers, url, withKey)
	defer m.stop(t)
	m.learn(t, sharedKnown)
	m.wantOnce(t)
	for _, s := range servers {
		if s.do(t, "DBSIZE") == int64(0) {
			t.Errorf("%s has no key", s.addr)
		}
	}
	table := newSharedTable()
	table.add(m.suffer(t, "one of three masters killed, and started empty", func() func() {
		servers[2].kill(t)
		return func() {
			servers[2].start(t)
			awaitCluster(t, servers)
		}
	}))
	table.log(t, p.name()+", cluster of three masters")
}

// clusterUser has exactly the rights that docs/operating.md names.
const clusterUser = "mta on >secret ~mta-sts:* &mta-sts:* -@all +getrange +set +eval +evalsha +publish +subscribe +ping +cluster|slots +command"

func startCluster(t *testing.T, p kvProgram, r *root) (servers []*kvServer) {
	t.Helper()
	const slots, masters = 16384, 3
	for i := range masters {
		args := append([]string{"--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--user"}, strings.Fields(clusterUser)...)
		s := startKV(t, p, r, nil, fmt.Sprintf("127.0.0.1:%d", 6379+i), args...)
		s.do(t, "CLUSTER", "SET-CONFIG-EPOCH", i+1)
		s.do(t, "CLUSTER", "ADDSLOTSRANGE", i*slots/masters, (i+1)*slots/masters-1)
		servers = append(servers, s)
		s.do(t, "CLUSTER", "MEET", "127.0.0.1", 6379)
	}
	awaitCluster(t, servers)
	return servers
}

func awaitCluster(t *testing.T, servers []*kvServer) {
	t.Helper()
	for _, s := range servers {
		s.eventually(t, "the cluster is one", func() bool {
			return s.says(t, []string{"cluster_state:ok", fmt.Sprintf("cluster_known_nodes:%d", len(servers))}, "CLUSTER", "INFO")
		})
	}
}
