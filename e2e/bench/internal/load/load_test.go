package load

import (
	"fmt"
	"net"
	"path/filepath"
	"testing"
	"time"

	"mta-sts-daemon/e2e/bench/internal/null"
)

func name(dst []byte, n uint32) []byte { return fmt.Appendf(dst, "d%d.example", n) }

// start starts a server and returns where.
func start(t *testing.T, network string, s *null.Server) Target {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(t.TempDir(), "socket")
	}
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go s.Serve(l)
	target := Target{Network: network, Address: l.Addr().String(), Protocol: Socketmap("postfix")}
	if s.Lines {
		target.Protocol = TCPTable()
	}
	return target
}

func TestEachKeyOnce(t *testing.T) {
	t.Parallel()
	const lookups = 500
	for _, c := range []struct {
		what                            string
		network                         string
		server                          null.Server
		connections, pipeline           int
		reconnect                       bool
		wantFound, wantNotFound, failed int
	}{
		{"one connection", "tcp", null.Server{Reply: []byte("6:OK yes,")}, 1, 1, false, lookups, 0, 0},
		{"more connections than keys", "tcp", null.Server{Reply: []byte("9:NOTFOUND ,")}, 600, 1, false, 0, lookups, 0},
		{"pipelined", "tcp", null.Server{Reply: []byte("8:TEMP why,")}, 8, 16, false, 0, 0, lookups},
		{"pipelined, batched", "unix", null.Server{Reply: []byte("8:PERM why,"), Batch: true}, 8, 16, false, 0, 0, lookups},
		{"reconnecting", "tcp", null.Server{Reply: []byte("6:OK yes,")}, 8, 1, true, lookups, 0, 0},
		{"reconnecting, unix", "unix", null.Server{Reply: []byte("6:OK yes,")}, 8, 1, true, lookups, 0, 0},
		{"tcp_table", "tcp", null.Server{Reply: []byte("200 yes\n"), Lines: true}, 2, 2, false, lookups, 0, 0},
		{"tcp_table, absent", "tcp", null.Server{Reply: []byte("500 no\n"), Lines: true}, 2, 1, false, 0, lookups, 0},
		{"tcp_table, failing", "tcp", null.Server{Reply: []byte("400 why\n"), Lines: true}, 2, 1, true, 0, 0, lookups},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			r, err := Run(Load{Target: start(t, c.network, &c.server), Connections: c.connections,
				Pipeline: c.pipeline, Reconnect: c.reconnect, Keys: Each(name, 0, lookups)})
			if err != nil {
				t.Fatal(err)
			}
			if r.Lookups != lookups || r.Found != c.wantFound || r.NotFound != c.wantNotFound || r.Failed != c.failed {
				t.Errorf("%d lookups: %d found, %d not, %d failed", r.Lookups, r.Found, r.NotFound, r.Failed)
			}
			if r.Latency.Quantile(.5) <= 0 || r.Latency.Quantile(1) > r.Took {
				t.Errorf("latencies of %v to %v in %v", r.Latency.Quantile(.5), r.Latency.Quantile(1), r.Took)
			}
		})
	}
}

func TestEndsAfterItsDuration(t *testing.T) {
	t.Parallel()
	server := null.Server{Reply: []byte("6:OK yes,")}
	const duration = 20 * time.Millisecond
	r, err := Run(Load{Target: start(t, "unix", &server), Connections: 4, Pipeline: 1,
		Keys: Zipf(name, 100), Duration: duration})
	if err != nil {
		t.Fatal(err)
	}
	if r.Took < duration || r.Lookups == 0 || r.Failed > 0 {
		t.Errorf("%d lookups, %d failed, in %v", r.Lookups, r.Failed, r.Took)
	}
}

func TestBadServers(t *testing.T) {
	t.Parallel()
	for _, reply := range []string{"hello,world", "6:OK yes;", "1234567:OK ", ":OK yes,"} {
		server := null.Server{Reply: []byte(reply)}
		r, err := Run(Load{Target: start(t, "tcp", &server), Connections: 1, Pipeline: 1, Keys: Each(name, 0, 1)})
		if err == nil {
			t.Errorf("%q: %d lookups and no error", reply, r.Lookups)
		}
	}
	server := null.Server{Reply: []byte("300 what\n"), Lines: true}
	if _, err := Run(Load{Target: start(t, "tcp", &server), Connections: 1, Pipeline: 1, Keys: Each(name, 0, 1)}); err == nil {
		t.Error("tcp_table: no error")
	}
}

func TestBadLoads(t *testing.T) {
	t.Parallel()
	for _, l := range []Load{
		{Connections: 1, Pipeline: 1},
		{Connections: 1, Pipeline: 1, Keys: Uniform(name, 10)},
		{Connections: 1, Pipeline: 2, Reconnect: true, Keys: Each(name, 0, 10)},
	} {
		if _, err := Run(l); err == nil {
			t.Errorf("%d connections, pipeline %d: no error", l.Connections, l.Pipeline)
		}
	}
}

func TestMix(t *testing.T) {
	t.Parallel()
	other := func(dst []byte, n uint32) []byte { return fmt.Appendf(dst, "other%d.example", n) }
	k := Mix(name, 10, .75, other, 100, 400)
	asked := map[string]int{}
	for _, n := range k.order {
		asked[string(k.Name(nil, n))]++
	}
	hits := 0
	for n := range uint32(10) {
		hits += asked[string(name(nil, n))]
	}
	for n := range uint32(100) {
		if asked[string(other(nil, 100+n))] != 1 {
			t.Errorf("the miss %d is there %d times", 100+n, asked[string(other(nil, 100+n))])
		}
	}
	if !k.Once || hits != 300 || len(k.order) != 400 {
		t.Errorf("%d hits among %d", hits, len(k.order))
	}
}
