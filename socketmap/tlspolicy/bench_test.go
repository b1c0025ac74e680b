package tlspolicy

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"mta-sts-daemon/resolver"
	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/dnsclient"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/policies"
	"mta-sts-daemon/resolver/store"
	"mta-sts-daemon/socketmap"
)

// everywhere is a world where every domain but those of .absent has a policy.
type everywhere struct{}

func (everywhere) TXT(_ context.Context, name string) (dnsclient.Answer[string], error) {
	if strings.HasSuffix(name, ".absent") {
		return dnsclient.Answer[string]{TTL: time.Hour}, nil
	}
	return dnsclient.Answer[string]{Records: []string{"v=STSv1; id=1;"}, TTL: time.Hour}, nil
}

func (everywhere) MX(context.Context, string) (dnsclient.Answer[dnsclient.MX], error) {
	return dnsclient.Answer[dnsclient.MX]{Records: []dnsclient.MX{{Host: "mx1.example.com"}}}, nil
}

func (everywhere) Fetch(context.Context, mtasts.Domain) (string, error) {
	return enforce("mx1.example.com", "mx2.example.com", "*.backup.example"), nil
}

// Lookups that memory answers, of 1,000 domains, from a key to a reply's data.
func BenchmarkAnswer(b *testing.B) {
	clk := clock.System()
	r := resolver.New(resolver.Options{
		Settings: resolver.Settings{TXT: everywhere{}, MX: everywhere{}, Policies: everywhere{}, AnswerTimeout: time.Minute, RecheckWait: time.Second,
			Limits:      policies.Limits{Entries: 2000, NegativeEntries: 2000, RefreshInterval: 24 * time.Hour, Idle: 24 * time.Hour},
			Concurrency: 4},
		Clock: clk, Store: store.OpenMemory(clk), Logger: slog.New(slog.DiscardHandler)})
	defer r.Close()
	h := NewHandler(r, Profile{}, nil, slog.New(slog.DiscardHandler)).For(Socketmap)
	for _, bc := range []struct{ name, zone, mapName string }{
		{"policy", "example", "postfix"},
		{"report", "example", "QUERYwithTLSRPT"},
		{"absence", "absent", "postfix"},
	} {
		b.Run(bc.name, func(b *testing.B) {
			requests := make([]*socketmap.Request, 1000)
			for i := range requests {
				requests[i] = &socketmap.Request{Map: bc.mapName, Key: fmt.Sprintf("domain%d.%s", i, bc.zone), At: time.Now(), Fits: within(maxData)}
				h.Wait(b.Context(), nil, requests[i])
			}
			dst := make([]byte, 0, 4096)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if _, ok := h.Answer(dst, requests[i%len(requests)]); !ok {
					b.Fatalf("%s is not in memory", requests[i%len(requests)].Key)
				}
				i++
			}
		})
	}
}
