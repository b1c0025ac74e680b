package daemon

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"mta-sts-daemon/config"
)

// greeting is the handler of the webs tested here.
var greeting = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") })

func newTestWeb(t *testing.T) *web {
	t.Helper()
	w := newWeb(greeting, monitoringConns, nil, metricsAddress, slog.New(slog.DiscardHandler))
	t.Cleanup(w.close)
	return w
}

// at is a configuration whose metrics are to be at an address.
func at(a config.Address) config.Config {
	cfg := config.Default()
	cfg.Metrics.Listen = a
	return cfg
}

// greets asks a web once.
func greets(a config.Address) bool {
	c, err := net.Dial(a.Network, a.Address)
	if err != nil {
		return false
	}
	defer c.Close()
	io.WriteString(c, "GET / HTTP/1.0\r\n\r\n")
	answer, _ := io.ReadAll(c)
	return strings.HasSuffix(string(answer), "hello")
}

func TestWebMoves(t *testing.T) {
	w := newTestWeb(t)
	dir := t.TempDir()
	first, second := unixAt(filepath.Join(dir, "1")), unixAt(filepath.Join(dir, "made", "2"))
	move := func(a config.Address) *move {
		t.Helper()
		m, err := w.prepare(at(a))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	move(first).commit()
	if m := move(first); m != nil {
		t.Error("it moves to where it is")
	}
	move(second).abandon()
	if !greets(first) || greets(second) {
		t.Error("a move that was abandoned was made")
	}
	move(second).commit()
	if greets(first) || !greets(second) {
		t.Error("it has not moved")
	}
	if _, err := w.prepare(at(unixAt(dir))); err == nil || !strings.HasPrefix(err.Error(), "metrics.listen: ") {
		t.Errorf("a directory: %v", err)
	}
	if !greets(second) {
		t.Error("a move that failed closed the old one")
	}
	move(config.Address{}).commit()
	if greets(second) {
		t.Error("it is still open")
	}
}

// An address that could not be opened at the start keeps no reload from applying, and is
// opened when that is possible.
func TestWebStaysBusy(t *testing.T) {
	w := newTestWeb(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := t.TempDir()
	busy, free, never := tcpAt(taken.Addr().String()), unixAt(filepath.Join(dir, "socket")), unixAt(dir)
	m, err := w.prepare(at(busy)) // as at the start
	if err == nil {
		t.Fatal("a busy address was opened")
	}
	m.commit()
	if m, err := w.prepare(at(busy)); m != nil || err != nil {
		t.Errorf("at a reload that does not change it: %v, %v", m, err)
	}
	m, err = w.prepare(at(free))
	if err != nil {
		t.Fatal(err)
	}
	m.commit()
	if !greets(free) {
		t.Error("it has not moved to a free address")
	}
	if _, err := w.prepare(at(busy)); err == nil || !greets(free) {
		t.Errorf("at a reload that changes it to a busy address: %v", err)
	}
	m, err = w.prepare(at(config.Address{}))
	if err != nil {
		t.Fatal(err)
	}
	m.commit()
	if m, err := w.prepare(at(config.Address{})); m != nil || err != nil || greets(free) {
		t.Errorf("nowhere: %v, %v", m, err)
	}
	for _, a := range []config.Address{never, busy} {
		m, _ = w.prepare(at(a))
		m.commit()
	}
	taken.Close()
	m, err = w.prepare(at(busy))
	if err != nil {
		t.Fatal(err)
	}
	m.commit()
	if !greets(busy) {
		t.Error("it is not opened when the address is free")
	}
}

// A listener that is in the way of the new one is closed first, and is opened again if
// the new one cannot be.
func TestWebMovesOnItsPort(t *testing.T) {
	w := newTestWeb(t)
	l, err := net.Listen("tcp", "0.0.0.0:0") // a free port
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	onAll, onLoopback, onOther := tcpAt("0.0.0.0:"+port), tcpAt("127.0.0.1:"+port), tcpAt("127.0.0.2:"+port)
	for _, to := range []config.Address{onAll, onLoopback, onAll} {
		m, err := w.prepare(at(to))
		if err != nil {
			t.Fatalf("to %v: %v", to, err)
		}
		m.commit()
		if !greets(onLoopback) || greets(onOther) != (to == onAll) {
			t.Fatalf("to %v: 127.0.0.1 greets: %v, 127.0.0.2 greets: %v", to, greets(onLoopback), greets(onOther))
		}
	}

	m, err := w.prepare(at(onLoopback))
	if err != nil {
		t.Fatal(err)
	}
	m.abandon()
	if !greets(onOther) {
		t.Error("a move that was abandoned was made")
	}

	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if _, err := w.prepare(at(tcpAt(taken.Addr().String()))); err == nil || !strings.HasPrefix(err.Error(), "metrics.listen: ") {
		t.Errorf("an address of another program: %v", err)
	}
	if !greets(onOther) {
		t.Error("a move that failed closed the old listener")
	}
}

func tcpAt(address string) config.Address {
	return config.Address{Network: config.TCP, Address: address}
}
