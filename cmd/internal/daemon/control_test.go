package daemon

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mta-sts-daemon/cmd/internal/admin"
	"mta-sts-daemon/cmd/internal/monitor"
	"mta-sts-daemon/config"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/store"
	"mta-sts-daemon/socketmap"
)

// The control socket answers within the limits of the protocol that is asked about.
func TestLookupOfLongPolicy(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.Cache.File = config.MemoryOnly
	cfg.DNS.DANE = config.DANEOff
	d, err := newDaemon(t.Context(), cfg, cfg.Listen, monitor.NewMetrics("1.2.3"), nil, newLogging(cfg.Log, io.Discard, io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	text := "version: STSv1\nmode: enforce\nmax_age: 864000\n"
	for i := range 300 {
		text += fmt.Sprintf("mx: mx%d.long.test\n", i)
	}
	domain, err := mtasts.ParseDomain("long.test")
	if err != nil {
		t.Fatal(err)
	}
	policy, err := mtasts.ParsePolicy(text)
	if err != nil {
		t.Fatal(err)
	}
	now := d.clock.Now()
	d.store.Put(store.Entry{Domain: domain, ID: "1", Policy: policy, Fetched: store.Fetched{Wall: time.Now(), At: now, ThisBoot: true},
		Recheck: now.Add(time.Hour), Used: now, Next: now.Add(time.Hour)})

	path := filepath.Join(t.TempDir(), "admin.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: admin.NewHandler(d.controls())}
	go server.Serve(l)
	defer server.Close()
	client := admin.NewClient(path, nil)
	for name, want := range map[socketmap.MapName]string{
		{Name: "postfix"}:            "OK secure match=",
		{Name: "postfix", TCP: true}: "TEMP the policy is longer than Postfix reads from a tcp_table",
	} {
		if got, err := client.Lookup(t.Context(), name, "long.test"); err != nil || !strings.HasPrefix(got.Answer, want) {
			t.Errorf("%v: %.80s, %v; want %s", name, got.Answer, err, want)
		}
	}
}
