package daemon

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mta-sts-daemon/config"
)

// greeting is the handler of the webs tested here.
var greeting = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") })

func newTestWeb(t *testing.T) *web {
	t.Helper()
	w := newWeb(greeting, nil, metricsAddress, slog.New(slog.DiscardHandler))
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

// Whoever can reach it cannot take all descriptors.
func TestWebBoundsConnections(t *testing.T) {
	w := newTestWeb(t)
	address := unixAt(filepath.Join(t.TempDir(), "socket"))
	m, err := w.prepare(at(address))
	if err != nil {
		t.Fatal(err)
	}
	m.commit()
	var open []net.Conn
	for range webConnections { // each is served, and stays
		c, err := net.Dial("unix", address.Address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
	}
	answered := make(chan bool, 1)
	go func() { answered <- greets(address) }()
	select {
	case <-answered:
		t.Errorf("connection %d was served beside the others", webConnections+1)
	case <-time.After(100 * time.Millisecond):
	}
	open[0].Close()
	if !<-answered {
		t.Error("it was not served when there was room")
	}
}
