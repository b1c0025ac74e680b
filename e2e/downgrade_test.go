package e2e

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/miekg/dns"

	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/store"
)

// TestNoneOutlivesCrash has a domain give MTA-STS up, as RFC 8461 section 8.3
// has it, and the daemon killed a second after it noticed. The policy of before
// must not come back out of the file, though nothing can be reached any more:
// it would keep back mail that its domain has set free.
func TestNoneOutlivesCrash(t *testing.T) {
	const domain = "enforce.test"
	w := newBareWorld(t)
	w.cutOff()
	r := newRoot(t, bookworm)
	r.onDisk(t)
	storePolicy(t, filepath.Join(r.dir, policyFile), domain, 2*time.Hour)
	d := startDaemonIn(t, w, r, askAuthority, keepPolicies)
	wantAnswer(t, domain, secure(domain)) // so the file had it
	d.kill(t)

	w.addMX(domain, "mx."+domain, "127.0.1.1")
	w.publish(domain, none(domain))
	w.connect()
	d.again(t)
	awaitAnswer(t, domain, notKnown)
	<-time.After(durable)
	d.kill(t)

	w.cutOff()
	for range 3 {
		before := w.zone.Queries("_mta-sts."+domain, dns.TypeTXT)
		d.again(t)
		wantAnswer(t, domain, notKnown)
		if w.zone.Queries("_mta-sts."+domain, dns.TypeTXT) > before {
			t.Error("the record was asked for: the new policy has not been kept")
		}
		wantNoWarning(t, d)
		d.kill(t)
	}
}

// storePolicy puts into a policy file the policy that domain had so long ago,
// and what DANE said of it. Its record is to be asked for again by now.
func storePolicy(t *testing.T, path, domain string, ago time.Duration, verdicts ...store.Verdict) {
	t.Helper()
	name, err := mtasts.ParseDomain(domain)
	if err != nil {
		t.Fatal(err)
	}
	enforced, err := mtasts.ParsePolicy(policy("enforce", "mx."+domain))
	if err != nil {
		t.Fatal(err)
	}
	clk := clock.System()
	st, err := store.Open(path, clk, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	now := clk.Now()
	fetched := now.Add(-ago)
	st.Put(store.Entry{
		Domain: name, ID: "1", Policy: enforced,
		Fetched: store.Fetched{Wall: time.Now().Add(-ago)}, Used: fetched, Recheck: fetched.Add(time.Hour), Next: now.Add(time.Hour),
		Verdicts: verdicts,
	})
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
}

// awaitAnswer asks until the answer is the one wanted. The first may be what
// was known before, after recheck_wait.
func awaitAnswer(t *testing.T, key, want string) {
	t.Helper()
	tooLong := time.After(patience)
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		answer, err := askOnce(key)
		if err == nil && answer == want {
			return
		}
		select {
		case <-again.C:
		case <-tooLong:
			t.Fatalf("%s: got %q, %v; want %q", key, answer, err, want)
		}
	}
}
