package bed

import "fmt"

// Zones of the two kinds of domains.
const (
	policyZone = ".example.test"
	absentZone = ".absent.test"
)

// Ids of policies.
const (
	PolicyID  = "20260701T120000"
	renewedID = "20260702T120000" // after Ledger.Renew
)

// Record is that of every domain with a policy.
const Record = "v=STSv1; id=" + PolicyID + ";"

const renewedRecord = "v=STSv1; id=" + renewedID + ";"

// AppendDomain appends the name of the n-th domain with a policy. Neighbours are
// far apart in a policy file, as the domains are that a mail server asks for.
func AppendDomain(dst []byte, n uint32) []byte { return append(appendHex(dst, n), policyZone...) }

// AppendAbsent appends the name of the n-th domain without.
func AppendAbsent(dst []byte, n uint32) []byte { return append(appendHex(dst, n), absentZone...) }

// Domain is what AppendDomain appends.
func Domain(n uint32) string { return string(AppendDomain(nil, n)) }

func appendHex(dst []byte, n uint32) []byte {
	const digits = "0123456789abcdef"
	n = scatter(n)
	for shift := 28; shift >= 0; shift -= 4 {
		dst = append(dst, digits[n>>shift&15])
	}
	return dst
}

// scatter makes a number of another one that is far from those of its neighbours. No
// two are the same.
func scatter(n uint32) uint32 {
	const odd = 2654435769
	return n * odd
}

// Policy is the text of the domain's policy.
func Policy(domain string) string { return policy(domain, "mx") }

// Answer is the expected answer to Postfix for a domain with a policy.
func Answer(domain string) string { return answer(domain, "mx") }

// RenewedAnswer is the answer under the policy that Ledger.Renew publishes.
func RenewedAnswer(domain string) string { return answer(domain, renewedLabel) }

// renewedLabel makes the difference between a domain's two policies.
const renewedLabel = "mx2"

func policy(domain, label string) string {
	return fmt.Sprintf("version: STSv1\r\nmode: enforce\r\nmx: mx1.%s\r\nmx: *.%s.%[1]s\r\nmax_age: 604800\r\n", domain, label)
}

func answer(domain, label string) string {
	return fmt.Sprintf("secure match=mx1.%s:.%s.%[1]s servername=hostname", domain, label)
}
