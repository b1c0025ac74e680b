package main

import (
	"mta-sts-daemon/e2e/bench/internal/load"
	"mta-sts-daemon/e2e/internal/peers"
)

// server is a program to be measured.
type server struct {
	peers.Server
	// prepare, unless it is nil, is called before the start.
	prepare func(dir string) error
	// everywhere puts it on both processors.
	everywhere bool
}

// readPeers reads a list of servers.
func readPeers(path string) (servers []server, err error) {
	list, err := peers.Read(path)
	for _, p := range list {
		servers = append(servers, server{Server: p})
	}
	return servers, err
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
