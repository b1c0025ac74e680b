package e2e

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"mta-sts-daemon/resolver/dnsclient"
)

// chain adds a chain of CNAME records: name 1 is end, the last one has so many
// names before it. Each link is in another zone than the one before if pattern
// says so by its zone, "%d.example" or a pair of them.
func (s *signer) chain(end string, names int, patterns ...string) (last string) {
	target := end
	for i := 2; i <= names; i++ {
		last = fmt.Sprintf(patterns[i%len(patterns)], i)
		s.add(fmt.Sprintf("%s. 300 IN CNAME %s.", last, target))
		target = last
	}
	return last
}

// TestAliases: chains of CNAME records as content delivery networks have them, in
// front of a policy host, an MX host and a record; with knot and unbound, which
// does not follow the longest ones itself.
func TestAliases(t *testing.T) {
	w := newSignedWorld(t)
	w.signer.add(`end.example. 300 IN TXT "end"`, "loop.example. 300 IN CNAME back.example.", "back.example. 300 IN CNAME loop.example.",
		"dangling.example. 300 IN CNAME none.example.")
	w.signer.chain("end.example", 17, "same%d.example")
	w.signer.chain("end.example", 17, "zig%d.example", "zag%d."+strings.TrimSuffix(unsignedZone, "."))
	// A policy host behind eight CNAME records, an MX host behind nine.
	d := w.addDomain("cdn.example", "$D MX 10 mx.$D", "_25._tcp.mx.$D TLSA 3 1 1 $GOOD", "mx-end.$D A $1")
	w.signer.add(fmt.Sprintf("mx.%s. 300 IN CNAME %s.", d.name, w.signer.chain("mx-end."+d.name, 9, "mxlink%d.example")))
	sts := w.addDomain("far.example", "$D MX 10 mx.$D", "mx.$D A $1", `_mta-sts.$D TXT "v=STSv1; id=1;"`, "host-end.$D A 127.0.0.1")
	w.signer.add(fmt.Sprintf("mta-sts.%s. 300 IN CNAME %s.", sts.name, w.signer.chain("host-end."+sts.name, 8, "hostlink%d."+sts.name)))
	w.hosts.Handle(sts.name, sts.policy("enforce"))
	gone := w.addDomain("gone.example", "_mta-sts.$D CNAME _mta-sts.none.example.", "$D MX 10 mx.$D", "mx.$D A $1")
	w.open(t)

	client := dnsclient.New(dnsclient.Options{Servers: []netip.AddrPort{resolverAddr}, Timeout: patience})
	for _, kind := range []string{"same", "zig"} {
		for names := 2; names <= 17; names++ {
			name := fmt.Sprintf("%s%d.example", kind, names)
			if kind == "zig" && names%2 == 1 {
				name = fmt.Sprintf("zag%d.unsigned.example", names)
			}
			got, err := client.TXT(t.Context(), name)
			switch {
			case names > 16:
				if err == nil || !strings.Contains(err.Error(), "more than 16 names") {
					t.Errorf("%s: got %+v, error %v", name, got, err)
				}
			case err != nil || len(got.Records) != 1 || got.Alias != "end.example" || got.Authenticated != (kind == "same" || names == 2):
				t.Errorf("%s: got %+v, error %v", name, got, err)
			}
		}
	}
	if got, err := client.TXT(t.Context(), "loop.example"); err == nil || !strings.Contains(err.Error(), "form a loop") {
		t.Errorf("loop: got %+v, error %v", got, err)
	}
	if got, err := client.TXT(t.Context(), "dangling.example"); err != nil || !got.Dangles() || got.Alias != "none.example" {
		t.Errorf("dangling: got %+v, error %v", got, err)
	}

	daemon := startDaemon(t, w.world, daneAlways)
	checkAnswer(t, d.name, answerDANEOnly)
	checkAnswer(t, sts.name, answerSecure)
	checkAnswer(t, gone.name, notKnown)
	query := daemon.root.command(daemonPath, "query", "--json", "--config", daemonConfig, gone.name)
	out, _ := query.CombinedOutput() // it exits with 1, because the domain has no policy
	if want := `_mta-sts.gone.example is a CNAME of \"_mta-sts.none.example\"`; !strings.Contains(string(out), want) {
		t.Errorf("query does not say %q:\n%s", want, out)
	}
	daemon.stop(t)
}
