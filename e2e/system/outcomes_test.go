package system

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"mta-sts-daemon/e2e/internal/isolated"
)

const (
	outcomesUnit = "mta-sts-outcomes.service"
	outcomesAddr = "127.0.0.1:9462"
)

// countOutcomes counts mail with the unit that follows the journal, during restarts of journald
// and of the unit itself: no delivery is lost, and none counts twice.
func countOutcomes(t *testing.T, v *server) {
	const d domain = "outcomes.test"
	v.publish(d)
	v.runFailing(t, "systemctl", "is-enabled", outcomesUnit)
	v.run(t, "systemctl", "start", outcomesUnit)
	t.Cleanup(func() { v.run(t, "systemctl", "stop", outcomesUnit) })

	sent := 0
	sendSome := func() {
		for range 5 {
			v.send(t, "postmaster@"+string(d))
			sent++
		}
	}
	sendSome()
	for range 3 {
		v.run(t, "systemctl", "restart", "systemd-journald.service")
		sendSome()
	}
	v.run(t, "journalctl", "--rotate")
	sendSome()
	v.awaitVerified(t, sent)

	v.run(t, "systemctl", "stop", outcomesUnit)
	sent = 0 // counters begin again
	sendSome()
	v.run(t, "systemctl", "restart", "systemd-journald.service")
	sendSome()
	v.run(t, "systemctl", "start", outcomesUnit)
	sendSome()
	v.awaitVerified(t, sent)

	// Mail does not depend on it.
	v.run(t, "systemctl", "kill", "--kill-whom=main", "--signal=KILL", outcomesUnit)
	sendSome()

	table := v.run(t, "mta-sts-daemon", "outcomes", "--journal", "--since", "1h")
	if !strings.Contains(table, "Enforcement success") {
		t.Errorf("outcomes --journal:\n%s", table)
	}
	if v.suite == bookworm {
		const limit = "13" // tenths
		exposure := v.run(t, "systemd-analyze", "security", "--offline=true", "--threshold="+limit, outcomesUnit)
		lines := strings.Split(strings.TrimSpace(exposure), "\n")
		t.Log(lines[len(lines)-1])
	}
	if said := v.run(t, "systemd-analyze", "verify", "--man=no", outcomesUnit); strings.Contains(said, "mta-sts") {
		t.Errorf("systemd-analyze verify: %s", said)
	}
}

// awaitVerified waits until the unit has counted n deliveries under a policy, all
// verified, and checks that there are no others.
func (v *server) awaitVerified(t *testing.T, n int) {
	t.Helper()
	var page string
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(page)
		}
	})
	want := fmt.Sprintf("mta_sts_deliveries_total{policy=\"sts\",status=\"sent\",tls=\"verified\"} %d\n", n)
	isolated.Eventually(t, want, func() bool {
		page = v.get(t, outcomesAddr, "/metrics")
		return strings.Contains(page, want)
	})
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "mta_sts_deliveries_total{") && !strings.HasSuffix(line, " 0\n") && line != want {
			t.Errorf("counted as well: %s", line)
		}
	}
}

// get returns the machine's HTTP response.
func (v *server) get(t *testing.T, addr, path string) string {
	t.Helper()
	dial := func(_ context.Context, network, addr string) (conn net.Conn, err error) {
		if cannot := v.network.Do(func() { conn, err = net.Dial(network, addr) }); cannot != nil {
			return nil, cannot
		}
		return conn, err
	}
	client := http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	resp, err := client.Get("http://" + addr + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
