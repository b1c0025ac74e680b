package main

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"mta-sts-daemon/e2e/bench/internal/bed"
	"mta-sts-daemon/e2e/bench/internal/far"
	"mta-sts-daemon/e2e/internal/peers"
)

// program is this one: the null servers and the bed are processes of it.
const program = "/proc/self/exe"

// nullServer is a null server; a batching one is what pipelining is measured against.
func nullServer(batch bool) server {
	s := server{Server: peers.Server{
		Name: "null server", TCP: "127.0.0.1:7001", Unix: "{dir}/socket", TCPTable: "127.0.0.1:7002", Map: "postfix",
		Command: []string{program, "null"},
	}}
	if batch {
		s.Name, s.TCP, s.TCPTable = "null server, batching", "127.0.0.1:7003", "127.0.0.1:7004"
		s.Command = append(s.Command, "--batch")
	}
	s.Command = append(s.Command, "--tcp", s.TCP, "--unix", s.Unix, "--tcp-table", s.TCPTable)
	return s
}

// ours is the daemon with its defaults, its unit's environment, the addresses of
// its peers, metrics, and a file of the first policies, whose records are not due
// for an hour. dane is the value of dns.dane.
func (b *bench) ours(dane string, policies uint32) server {
	s := server{Server: peers.Server{
		Name: "mta-sts-daemon", TCP: "127.0.0.1:8461", Unix: "{dir}/socket", TCPTable: "127.0.0.1:8462", Map: "postfix",
		Command: []string{b.program, "serve", "--config", "{dir}/config.yaml"},
		Env:     b.unitEnv,
	}}
	metrics := "127.0.0.1:9461"
	if dane != daneOff {
		metrics = "127.0.0.1:9462"
		s.Name, s.TCP, s.TCPTable = "mta-sts-daemon, DANE on", "127.0.0.1:8463", "127.0.0.1:8464"
	}
	s.Files = map[string]string{"config.yaml": `
listen: {socketmap: ["` + s.TCP + `", "unix:` + s.Unix + `"], tcp_table: ["` + s.TCPTable + `"]}
dns: {servers: ["` + dnsAddr + `"], dane: ` + dane + `}
fetch: {allow_networks: [127.0.0.0/8, ` + far.NetworkIPv4 + `, "` + far.NetworkIPv6 + `"]}
cache: {file: "{dir}/policies.db"}
admin: {socket: "{dir}/admin.sock"}
metrics: {listen: "` + metrics + `"}
`}
	s.prepare = func(dir string) error {
		return bed.Fill(filepath.Join(dir, "policies.db"), int(policies), time.Now(), time.Hour)
	}
	return s
}

// Values of dns.dane.
const (
	daneOff = "off"
	daneOn  = "always"
)

// readUnitEnv returns the environment that a unit file sets for its service,
// above all GOGC.
func readUnitEnv(path string) (env []string, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		if assignment, ok := strings.CutPrefix(strings.TrimSpace(line), "Environment="); ok {
			env = append(env, assignment)
		}
	}
	return env, nil
}
