package outcomes_test

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"mta-sts-daemon/cmd/internal/outcomes"
)

// Clients that send nothing do not block the metrics.
func TestServeSilentClients(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "metrics") })
	go outcomes.Serve(t.Context(), l, h, slog.New(slog.DiscardHandler))
	for range 100 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	answer, err := (&http.Client{Timeout: 5 * time.Second}).Get("http://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if text, err := io.ReadAll(answer.Body); err != nil || string(text) != "metrics" {
		t.Errorf("%q, %v", text, err)
	}
}
