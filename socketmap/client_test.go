package socketmap

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestClient(t *testing.T) {
	t.Parallel()
	b := newBed(t, 10, time.Minute)
	c, err := Dial(t.Context(), "tcp", b.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, tc := range []struct {
		key, data string
		status    Status
	}{
		{"a", "a", OK},
		{"absent", "", NotFound},
		{"big", strings.Repeat("x", maxData), OK},
		{"b", "b", OK},
	} {
		reply, err := c.Lookup(t.Context(), "map", tc.key)
		if err != nil || reply.Status != tc.status || string(reply.Data) != tc.data {
			t.Errorf("Lookup(%s) = %v %.40q, %v", tc.key, reply.Status, reply.Data, err)
		}
	}
}

func TestClientGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	b := newBed(t, 10, time.Minute)
	c, err := Dial(t.Context(), "tcp", b.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for b.started.Load() == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	if _, err := c.Lookup(ctx, "map", "slow"); !errors.Is(err, context.Canceled) {
		t.Errorf("Lookup: %v", err)
	}
}
