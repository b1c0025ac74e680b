package socketmap

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// hesitant needs a second for every lookup.
type hesitant struct {
	began time.Time
	asked []time.Duration // since then, when each lookup was said to be made
}

func (h *hesitant) Answer(_ []byte, req *Request) (Reply, bool) {
	h.asked = append(h.asked, req.At.Sub(h.began))
	return Reply{}, false
}

func (h *hesitant) Wait(context.Context, []byte, *Request) Reply {
	time.Sleep(time.Second)
	return Reply{Status: NotFound}
}

// A lookup that waits for its turn is made when that comes, however early it was
// read: what memory knows may have ended meanwhile.
func TestRequestIsOfItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hesitant{began: time.Now()}
		s := NewServer(Netstrings(), h, NewConnections(1), time.Minute, slog.New(slog.DiscardHandler))
		client, server := net.Pipe()
		c := newConn(s, server)
		go c.serve()
		var requests []byte
		for range maxInFlight + 1 {
			requests = appendRequest(requests, "map", "a")
		}
		go client.Write(requests)
		buf := make([]byte, 1024)
		for replies := 0; replies < maxInFlight+1; {
			n, err := client.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			for in := string(buf[:n]); in != ""; replies++ {
				_, used, err := netstring(in, MaxRequest)
				if err != nil || used == 0 {
					t.Fatalf("%q: %v", in, err)
				}
				in = in[used:]
			}
		}
		client.Close()
		if last := h.asked[len(h.asked)-1]; last != time.Second {
			t.Errorf("the last of %d lookups was made after %v, want 1s", maxInFlight+1, last)
		}
		s.Shutdown(t.Context())
	})
}
