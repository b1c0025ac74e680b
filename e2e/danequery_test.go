package e2e

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestQueryDANE checks the output of query about DANE and the answer to Postfix.
func TestQueryDANE(t *testing.T) {
	w := newSignedWorld(t)
	full := w.addDomain("full.example", "$D MX 10 mx.$D", "mx.$D A $1", "_25._tcp.mx.$D TLSA 3 1 1 $GOOD")
	absent := w.addDomain("none.example", "$D MX 10 mx.$D", "mx.$D A $1")
	broken := w.addDomain("unknown.bogus.example", "$D MX 10 mx.$D", "mx.$D A $1")
	for _, d := range []mailDomain{full, absent, broken} {
		w.publishSigned(d.name, d.policy("enforce"))
	}
	w.open(t)
	d := startDaemon(t, w.world, daneAlways)
	d.stopLater(t)
	for _, test := range []struct{ domain, dane, postfix string }{
		{full.name, "full", answerDANEOnly},
		{absent.name, "none", answerSecure},
		{broken.name, "SERVFAIL", "TEMP"},
	} {
		out, status := query(t, d, "--json", test.domain)
		var report struct {
			DANE    struct{ Verdict, Problem string }
			Postfix string
		}
		if err := json.Unmarshal([]byte(out), &report); err != nil {
			t.Fatalf("%s, exit status %d: %v:\n%s", test.domain, status, err, out)
		}
		if !strings.Contains(report.DANE.Verdict+report.DANE.Problem, test.dane) || !strings.HasPrefix(report.Postfix, test.postfix) {
			t.Errorf("%s: %+v, want %q and %q", test.domain, report, test.dane, test.postfix)
		}
	}
}
