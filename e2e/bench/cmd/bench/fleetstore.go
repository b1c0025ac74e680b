package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"mta-sts-daemon/e2e/internal/peers"
)

const (
	masters      = 3
	clusterSlots = 16384
	firstKVPort  = 6379

	// unpacked is the directory with the trees of Debian for the end-to-end tests.
	unpacked = "build/e2e/roots"
)

// cluster is a Valkey cluster of masters, as docs/operating.md advises.
type cluster struct {
	running []*running
	admin   []*redis.Client
}

// kvProgram returns the beginning of a command: the server of this host or, with the
// libraries of its own, one that the end-to-end tests have unpacked.
func kvProgram() ([]string, error) {
	const name = "valkey-server"
	if path, err := exec.LookPath(name); err == nil {
		return []string{path}, nil
	}
	paths, err := filepath.Glob(filepath.Join(unpacked, "*/usr/bin", name))
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		loaders, err := filepath.Glob(filepath.Join(path, "../../lib/*/ld-linux-*.so.*"))
		if err != nil {
			return nil, err
		}
		if len(loaders) > 0 {
			return []string{loaders[0], "--library-path", filepath.Dir(loaders[0]), path}, nil
		}
	}
	return nil, errors.New(name + " is neither installed nor unpacked below " + unpacked)
}

func kvAddr(i int) string { return fmt.Sprintf("127.0.0.1:%d", firstKVPort+i) }

func (c *cluster) url() string {
	return "redis+cluster://" + kvAddr(0) + "?addr=" + kvAddr(1)
}

// start starts the servers and waits until they are a cluster.
func (c *cluster) start(b *bench) error {
	program, err := kvProgram()
	if err != nil {
		return err
	}
	for i := range masters {
		r, err := b.start(server{everywhere: true, Server: peers.Server{
			Name: fmt.Sprintf("valkey %d", i), TCP: kvAddr(i),
			Command: append(program[:len(program):len(program)], "{dir}/server.conf"),
			Files: map[string]string{"server.conf": fmt.Sprintf(`dir {dir}
bind 127.0.0.1
port %d
save ""
appendonly no
maxmemory 256mb
maxmemory-policy volatile-ttl
cluster-enabled yes
cluster-require-full-coverage no
`, firstKVPort+i)},
		}})
		if err != nil {
			return err
		}
		c.running = append(c.running, r)
		c.admin = append(c.admin, redis.NewClient(&redis.Options{Addr: kvAddr(i), DisableIdentity: true}))
	}
	return c.join()
}

func (c *cluster) join() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for i, admin := range c.admin {
		for _, command := range [][]any{
			{"CLUSTER", "SET-CONFIG-EPOCH", i + 1},
			{"CLUSTER", "ADDSLOTSRANGE", i * clusterSlots / masters, (i+1)*clusterSlots/masters - 1},
			{"CLUSTER", "MEET", "127.0.0.1", firstKVPort},
		} {
			if err := admin.Do(ctx, command...).Err(); err != nil {
				return fmt.Errorf("%v: %w", command, err)
			}
		}
	}
	for _, admin := range c.admin {
		for {
			info, err := admin.ClusterInfo(ctx).Result()
			if err != nil {
				return err
			}
			if strings.Contains(info, "cluster_state:ok") && strings.Contains(info, fmt.Sprintf("cluster_known_nodes:%d", masters)) {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	return nil
}

// storeCounts are those of all masters together.
type storeCounts struct {
	commands, in, out int64 // since the start; in and out in bytes
	memory, keys      int64
}

func (c *cluster) counts() (sum storeCounts, err error) {
	ctx := context.Background()
	for _, admin := range c.admin {
		info, err := admin.Info(ctx).Result()
		if err != nil {
			return sum, err
		}
		for line := range strings.Lines(info) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
			into := map[string]*int64{
				"total_commands_processed": &sum.commands,
				"total_net_input_bytes":    &sum.in,
				"total_net_output_bytes":   &sum.out,
				"used_memory":              &sum.memory,
			}[name]
			if into == nil {
				continue
			}
			var n int64
			if _, err := fmt.Sscan(value, &n); err != nil {
				return sum, fmt.Errorf("INFO: %s: %w", line, err)
			}
			*into += n
		}
		keys, err := admin.DBSize(ctx).Result()
		if err != nil {
			return sum, err
		}
		sum.keys += keys
	}
	return sum, nil
}
