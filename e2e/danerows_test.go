package e2e

import (
	"fmt"
	"strings"
)

// daneRow is a row of the table in docs/dane.md: the domain's DNS records, the
// daemon's answer, and the deliveries of Postfix.
type daneRow struct {
	name    string
	zone    string
	records []string
	answers [2]string     // by policy: not enforced, enforced
	want    [2][2]routing // the same, for a server that DANE vouches for and one with a public certificate
	without [2][2]routing // the same, where neither Postfix nor the daemon does DANE
}

// routing is the outcome of a message.
type routing struct {
	expectation
	server int    // which of the domain's servers takes it, counted from 1; 0: none
	says   string // is in Postfix's reason
}

func by(server int, want expectation) routing { return routing{want, server, ""} }

// Why Postfix keeps a message.
var (
	daneMismatch = expectation{statusDeferred, "4.7.5", "Untrusted", "no matching DANE TLSA records"}
	deniedByDANE = routing{daneMismatch, 0, "Server certificate not verified"}
	noTLSA       = routing{undecided, 0, "no TLSA records found"} // of a server, at dane-only
	tlsaUnknown  = routing{undecided, 0, "TLSA lookup error for "}
	notAnswered  = routing{undecided, 0, "client TLS configuration problem"}
	mxUnknown    = routing{expectation{statusDeferred, "4.4.3", "", ""}, 0, "type=MX: Host not found, try again"}
	addrUnknown  = routing{expectation{statusDeferred, "4.4.3", "", ""}, 0, "type=A: Host not found, try again"}
	takesNoMail  = routing{expectation{statusBounced, "5.1.0", "", ""}, 0, "does not accept mail (nullMX)"}
)

// By certificates alone, as MTA-STS has it.
var byPolicy = [2][2]routing{
	{by(1, untrusted), by(1, trusted)},
	{by(0, unknownCA), by(1, verified)},
}

// Answers of the daemon.
const (
	answerDANEOnly = "OK dane-only"
	answerDANE     = "OK dane"
	answerSecure   = "OK secure match=" // and so on
	answerTemp     = "TEMP "            // and why
)

var oneHost = []string{"$D MX 10 mx.$D", "mx.$D A $1"}

var daneRows = []daneRow{
	{
		"all MX hosts usable", "example",
		append([]string{"_25._tcp.mx.$D TLSA 3 1 1 $KEY"}, oneHost...),
		[2]string{answerDANEOnly, answerDANEOnly},
		[2][2]routing{{by(1, verified), deniedByDANE}, {by(1, verified), deniedByDANE}},
		byPolicy,
	},
	{
		"some usable", "example",
		[]string{"$D MX 10 mx1.$D", "mx1.$D A $1", "_25._tcp.mx1.$D TLSA 3 1 1 $KEY", "$D MX 20 mx2.$D", "mx2.$D A $2"},
		[2]string{answerDANE, answerDANEOnly},
		[2][2]routing{{by(1, verified), by(2, trusted)}, {by(1, verified), noTLSA}},
		[2][2]routing{{by(1, untrusted), by(1, trusted)}, {by(2, verified), by(1, verified)}},
	},
	{
		"none usable, some cannot be known", "example",
		append([]string{"_25._tcp.mx.$D CNAME $B", "$B TLSA 3 1 1 $KEY"}, oneHost...),
		[2]string{answerDANE, answerTemp},
		[2][2]routing{{tlsaUnknown, tlsaUnknown}, {notAnswered, notAnswered}},
		byPolicy,
	},
	{
		"TLSA there but none usable", "example",
		append([]string{"_25._tcp.mx.$D TLSA 1 1 1 $KEY"}, oneHost...),
		[2]string{answerDANE, answerSecure},
		byPolicy, byPolicy,
	},
	{
		"MX not authenticated", "unsigned.example",
		append([]string{"_25._tcp.mx.$D TLSA 3 1 1 $KEY"}, oneHost...),
		[2]string{notKnown, answerSecure},
		byPolicy, byPolicy,
	},
	{
		"no TLSA", "example", oneHost,
		[2]string{notKnown, answerSecure},
		byPolicy, byPolicy,
	},
	{
		"MX lookup fails", "bogus.example",
		append([]string{"_25._tcp.mx.$D TLSA 3 1 1 $KEY"}, oneHost...),
		[2]string{answerTemp, answerTemp},
		[2][2]routing{{mxUnknown, mxUnknown}, {mxUnknown, mxUnknown}},
		[2][2]routing{{mxUnknown, mxUnknown}, {mxUnknown, mxUnknown}},
	},
}

// daneCase is a message to a domain of its own.
type daneCase struct {
	name        string
	domain      mailDomain
	certificate certificate
	alias       string // as for startServers; "": none
	answer      string // begins the daemon's answer; "": not asked
	want        routing
	said        outcome
}

// Modes of the policies, and whether they bind.
var stsModes = []struct {
	mode     string
	enforced int
}{{"none", 0}, {"testing", 0}, {"enforce", 1}}

// daneMatrix is every row with every kind of server and of policy.
func daneMatrix(w *signedWorld, expected func(daneRow) (answers [2]string, want [2][2]routing)) (cases []*daneCase) {
	for i, row := range daneRows {
		for j, cert := range []certificate{matching, public} {
			for _, sts := range stsModes {
				digest := []string{"$GOOD", "$BAD"}[j]
				name := fmt.Sprintf("row%d-%s-%s.%s", i+1, []string{"good", "bad"}[j], sts.mode, row.zone)
				var records []string
				for _, record := range row.records {
					records = append(records, strings.ReplaceAll(record, "$KEY", digest))
				}
				d := w.addDomain(name, records...)
				w.publishSigned(name, d.policy(sts.mode))
				answers, want := expected(row)
				cases = append(cases, &daneCase{
					name:        fmt.Sprintf("%s\t| %s\t| %s", row.name, []string{"good", "bad"}[j], sts.mode),
					domain:      d,
					certificate: cert,
					answer:      answers[sts.enforced],
					want:        want[sts.enforced][j],
				})
			}
		}
	}
	return cases
}
