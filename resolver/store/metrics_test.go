package store

import (
	"os"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	bolt "go.etcd.io/bbolt"

	"mta-sts-daemon/resolver/event"
)

// wantMetrics checks the Store's metrics.
func wantMetrics(t *testing.T, s *Store, policies, errors string) {
	t.Helper()
	reg := prometheus.NewRegistry()
	s.Register(reg)
	want := `
# HELP mta_sts_policies_stored Policies in the policy file, with those that expired within the last 30 days.
# TYPE mta_sts_policies_stored gauge
mta_sts_policies_stored ` + policies + `
# HELP mta_sts_store_errors_total Failed attempts to open or write the policy file, and times that the file or policies in it were found corrupt.
# TYPE mta_sts_store_errors_total counter
mta_sts_store_errors_total ` + errors + "\n"
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	s := OpenMemory(machine().Clock())
	s.Put(numbered(t, 0))
	wantMetrics(t, s, "1", "0")

	path, log := filename(t), &journal{}
	s = open(t, path, log.logger())
	for n := range 3 {
		s.Put(numbered(t, n))
	}
	wantMetrics(t, s, "3", "0")
	closeStore(t, s)

	// An error counts from the start on, however soon it was met.
	tamper(t, path, func(tx *bolt.Tx) error {
		return tx.Bucket([]byte(entriesBucket)).Put([]byte(numbered(t, 1).Domain.String()), []byte("no entry"))
	})
	s = open(t, path, log.logger())
	log.want(t, event.StoreEntriesLost)
	flush(t, s)
	wantMetrics(t, s, "2", "1")
	closeStore(t, s)

	if err := os.WriteFile(path, []byte("no policy file"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantMetrics(t, open(t, path, log.logger()), "0", "1")
}
