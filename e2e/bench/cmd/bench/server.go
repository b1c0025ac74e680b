package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"gopkg.in/yaml.v3"

	"mta-sts-daemon/e2e/bench/internal/load"
)

// server is a program that answers lookups. In its texts {dir} stands for a
// directory of its own. It finds a resolver at 127.0.0.1:53, in /etc/resolv.conf
// too, and the authority of the policy hosts in SSL_CERT_FILE.
type server struct {
	Name    string            `yaml:"name"`
	Command []string          `yaml:"command"`
	Env     []string          `yaml:"env"`   // NAME=VALUE, beside what there is
	Files   map[string]string `yaml:"files"` // in {dir}
	// Where it answers, in each way that it can.
	TCP      string `yaml:"tcp"`
	Unix     string `yaml:"unix"`
	TCPTable string `yaml:"tcp_table"`
	Map      string `yaml:"map"` // the socketmap's name

	// prepare, unless it is nil, is called before the start.
	prepare func(dir string) error
}

// readPeers reads a list of servers.
func readPeers(path string) ([]server, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var peers []server
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&peers); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, p := range peers {
		if p.Name == "" || len(p.Command) == 0 {
			return nil, fmt.Errorf("%s: each server needs a name and a command", path)
		}
	}
	return peers, nil
}

// in returns s with its directory filled in.
func (s server) in(dir string) server {
	r := strings.NewReplacer("{dir}", dir)
	all := func(texts []string) (filled []string) {
		for _, text := range texts {
			filled = append(filled, r.Replace(text))
		}
		return filled
	}
	files := make(map[string]string, len(s.Files))
	for name, text := range s.Files {
		files[name] = r.Replace(text)
	}
	s.Command, s.Env, s.Files = all(s.Command), all(s.Env), files
	s.TCP, s.Unix, s.TCPTable = r.Replace(s.TCP), r.Replace(s.Unix), r.Replace(s.TCPTable)
	return s
}

// way is how lookups travel.
type way string

const (
	overTCP      way = "TCP"
	overUnix     way = "unix"
	overTCPTable way = "tcp_table"
)

var ways = []way{overTCP, overUnix, overTCPTable}

// target is where s answers lookups that travel so, if it does.
func (s *server) target(w way) (t load.Target, ok bool) {
	switch w {
	case overUnix:
		t = load.Target{Network: "unix", Address: s.Unix, Protocol: load.Socketmap(s.Map)}
	case overTCPTable:
		t = load.Target{Network: "tcp", Address: s.TCPTable, Protocol: load.TCPTable()}
	default:
		t = load.Target{Network: "tcp", Address: s.TCP, Protocol: load.Socketmap(s.Map)}
	}
	return t, t.Address != ""
}
