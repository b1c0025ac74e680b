package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// signer is knot as the authority for zones that it signs itself. A domain of
// the tests is added to them before knot starts.
type signer struct {
	zones []*signerZone
}

// signerZone is one zone that knot serves.
type signerZone struct {
	name   string
	signed bool
	lines  []string // of the zone file
}

// Zones below the signed root zone. Names without a zone of their own, such as
// good.example, are in the root zone.
const (
	unsignedZone = "unsigned.example." // an unsigned delegation: nothing in it is authenticated
	bogusZone    = "bogus.example."    // signed by a key that the root zone does not vouch for: no question in it is answered
)

func newSigner() *signer {
	// In the order in which add looks for the zone of a name.
	s := &signer{zones: []*signerZone{{name: unsignedZone}, {name: bogusZone, signed: true}, {name: ".", signed: true}}}
	for _, z := range s.zones {
		s.add(
			fmt.Sprintf("%s 300 IN SOA %s hostmaster.example. 1 3600 600 86400 60", z.name, nameServer),
			fmt.Sprintf("%s 300 IN NS %s", z.name, nameServer),
		)
	}
	root := s.zones[len(s.zones)-1]
	root.lines = append(root.lines,
		nameServer+" 300 IN A "+signerAddr.Addr().String(),
		"test. 300 IN NS ns.test.",
		"ns.test. 300 IN A "+authorityAddr.Addr().String(),
		unsignedZone+" 300 IN NS "+nameServer,
		bogusZone+" 300 IN NS "+nameServer,
		bogusZone+" 300 IN DS 1 13 2 "+strings.Repeat("00", 32),
	)
	return s
}

// nameServer is knot's own name.
const nameServer = "ns.example."

// add puts records into the zones that they belong to.
func (s *signer) add(records ...string) {
	for _, record := range records {
		owner, _, _ := strings.Cut(record, " ")
		for _, z := range s.zones {
			if dns.IsSubDomain(z.name, owner) {
				z.lines = append(z.lines, record)
				break
			}
		}
	}
}

// start has knot sign and serve the zones as they are now, and returns unbound's
// settings for a validating resolver that takes knot for the name server of the
// DNS root.
func (s *signer) start(t *testing.T) (unboundConf string) {
	t.Helper()
	r := newRoot(t, bookworm)
	conf := knotConf
	for i, z := range s.zones {
		file := fmt.Sprintf("/etc/knot/%d.zone", i)
		r.write(t, file, strings.Join(z.lines, "\n")+"\n")
		conf += fmt.Sprintf("  - domain: %q\n    file: %s\n    zonefile-sync: -1\n", z.name, file)
		if z.signed {
			conf += "    dnssec-signing: on\n    dnssec-policy: own\n"
		}
	}
	r.write(t, "etc/knot/knot.conf", conf)
	r.write(t, "run/knot/.keep", "")
	r.write(t, "var/lib/knot/.keep", "")
	knot := startProcess(t, r.command("/usr/sbin/knotd", "-c", "/etc/knot/knot.conf"))
	knot.awaitListening(t, signerAddr.String())
	knot.stopLater(t)
	return fmt.Sprintf(validatingConf, trustAnchor(t), signerAddr.Addr())
}

var knotConf = `server:
    listen: ` + signerAddr.Addr().String() + `@` + fmt.Sprint(signerAddr.Port()) + `
    user: root:root
log:
  - target: stderr
    any: info
policy:
  - id: own
    algorithm: ecdsap256sha256
    single-type-signing: on
zone:
`

const validatingConf = `
server:
	module-config: "validator iterator"
	trust-anchor: %q
stub-zone:
	name: "."
	stub-addr: %v
`

// trustAnchor is the key that knot has signed the root zone with.
func trustAnchor(t *testing.T) string {
	t.Helper()
	client := &dns.Client{Net: "tcp", Timeout: patience}
	reply, _, err := client.Exchange(new(dns.Msg).SetQuestion(".", dns.TypeDNSKEY), signerAddr.String())
	if err != nil {
		t.Fatal(err)
	}
	if len(reply.Answer) != 1 {
		t.Fatalf("knot has not signed the root zone: %v", reply)
	}
	return strings.ReplaceAll(reply.Answer[0].String(), "\t", " ")
}
