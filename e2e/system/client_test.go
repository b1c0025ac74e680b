package system

import (
	"testing"
	"time"

	"mta-sts-daemon/e2e/internal/mapclient"
)

// newClient returns a client for the daemon at an address of the machine.
func (v *server) newClient(address string) *mapclient.Client {
	return &mapclient.Client{Network: v.network, Address: address}
}

// checkLookup asks the daemon once.
func (v *server) checkLookup(t *testing.T, key, want string) {
	t.Helper()
	v.checkLookupAt(t, socketmapAddr, key, want)
}

// checkLookupAt asks the daemon once, at an address.
func (v *server) checkLookupAt(t *testing.T, address, key, want string) {
	t.Helper()
	c := v.newClient(address)
	defer c.Close()
	got, err := c.Lookup(key)
	if err != nil {
		t.Fatalf("lookup of %s: %v", key, err)
	}
	if got != want {
		t.Fatalf("lookup of %s: %q, want %q", key, got, want)
	}
}

// underLoad runs f while some clients look up a domain without pause. All must
// get the answer that its policy gives. f calls awaitAnswers to let the clients get some more.
func (v *server) underLoad(t *testing.T, f func(awaitAnswers func())) mapclient.Tally {
	t.Helper()
	const clients, pause = 4, time.Millisecond // leaves processor time for the machine
	load := mapclient.Start(clients, pause, func() *mapclient.Client { return v.newClient(socketmapAddr) },
		func(int) mapclient.Question { return mapclient.Question{Key: string(known), Want: known.secure()} })
	f(func() {
		t.Helper()
		if err := load.Await(20); err != nil {
			t.Fatal(err)
		}
	})
	l := load.End()
	t.Logf("%d answers, %d at the second try, the longest after %v", len(l.Took), l.Retried, l.Quantile(1).Round(time.Millisecond))
	if len(l.Lost) > 0 {
		t.Errorf("%d lookups lost, the first: %s", len(l.Lost), l.Lost[0])
	}
	if l.Refused > 0 {
		t.Errorf("%d connections refused", l.Refused)
	}
	return l
}
