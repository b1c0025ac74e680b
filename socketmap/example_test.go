package socketmap_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net"
	"strings"
	"time"

	"mta-sts-daemon/socketmap"
)

// greeter answers every lookup at once.
type greeter struct{}

func (greeter) Answer(dst []byte, req *socketmap.Request) (socketmap.Reply, bool) {
	if req.Map != "greeting" {
		return socketmap.Reply{Status: socketmap.NotFound, Data: dst}, true
	}
	return socketmap.Reply{Status: socketmap.OK, Data: append(dst, "hello "+strings.ToUpper(req.Key)...)}, true
}

func (greeter) Wait(context.Context, []byte, *socketmap.Request) socketmap.Reply {
	panic("Answer answers every lookup")
}

func ExampleClient() {
	ctx := context.Background()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := socketmap.NewServer(socketmap.Netstrings(), greeter{}, socketmap.NewConnections(10), time.Minute, slog.New(slog.DiscardHandler))
	go server.Serve(listener)
	defer server.Shutdown(ctx)

	client, err := socketmap.Dial(ctx, "tcp", listener.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	for _, name := range []string{"greeting", "other"} {
		reply, err := client.Lookup(ctx, name, "postfix")
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(strings.TrimSpace(reply.Status.String() + " " + string(reply.Data)))
	}
	// Output:
	// OK hello POSTFIX
	// NOTFOUND
}
