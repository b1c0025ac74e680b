package outcomes_test

import (
	"context"
	"log/slog"
	"net"
	"testing"

	"mta-sts-daemon/cmd/internal/outcomes"
	"mta-sts-daemon/config"
	"mta-sts-daemon/socketmap"
)

// answering gives the same answer for every map name, and counts the requests.
type answering struct {
	t       *testing.T
	answers map[string]string
	asked   chan string
}

func (a answering) Answer(dst []byte, req *socketmap.Request) (socketmap.Reply, bool) {
	if req.Map != "peek" {
		a.t.Errorf("the map %q was asked", req.Map)
	}
	a.asked <- req.Key
	switch answer := a.answers[req.Key]; answer {
	case "":
		return socketmap.Reply{Status: socketmap.NotFound, Data: dst}, true
	case "temp":
		return socketmap.Reply{Status: socketmap.Temp, Data: append(dst, "not known"...)}, true
	default:
		return socketmap.Reply{Status: socketmap.OK, Data: append(dst, answer...)}, true
	}
}

func (a answering) Wait(context.Context, []byte, *socketmap.Request) socketmap.Reply {
	panic("Answer answers all")
}

func TestDaemon(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan string, 100)
	server := socketmap.NewServer(socketmap.Netstrings(), answering{t, map[string]string{
		"sts.test":            "secure match=mx.sts.test servername=hostname",
		"dane.test":           "dane",
		"only.test":           "dane-only",
		"override.test":       "encrypt",
		"unknown.test":        "temp",
		"[mx.relay.test]:587": "secure match=mx.relay.test",
	}, asked}, socketmap.NewConnections(10), 0, slog.New(slog.DiscardHandler))
	go server.Serve(listener)
	silent := 0
	d := outcomes.NewDaemon([]config.Address{{Network: config.Unix, Address: "/nonexistent"}, {Network: config.TCP, Address: listener.Addr().String()}},
		func(error) { silent++ })
	defer d.Close()
	for range 2 {
		for nextHop, want := range map[string]outcomes.Policy{
			"sts.test": outcomes.PolicySTS, "dane.test": outcomes.PolicyDANE, "only.test": outcomes.PolicyDANE,
			"none.test": outcomes.PolicyNone, "override.test": outcomes.PolicyNone, "unknown.test": outcomes.PolicyUnknown,
			"[mx.relay.test]:587": outcomes.PolicySTS,
		} {
			if got := d.Policy(nextHop); got != want {
				t.Errorf("%s: %v, want %v", nextHop, got, want)
			}
		}
	}
	if n := len(asked); n != 7 {
		t.Errorf("the daemon was asked %d times for 7 next hops", n)
	}
	if silent != 0 {
		t.Errorf("a daemon that answers was reported silent %d times", silent)
	}
	// Without the daemon, recent answers still hold, and other domains are unknown.
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	server.Shutdown(ctx)
	if got := d.Policy("sts.test"); got != outcomes.PolicySTS {
		t.Errorf("after the daemon's end: %v", got)
	}
	for range 2 {
		if got := d.Policy("another.test"); got != outcomes.PolicyUnknown {
			t.Errorf("without a daemon: %v", got)
		}
	}
	if silent != 1 {
		t.Errorf("it was reported silent %d times, want once", silent)
	}
}
