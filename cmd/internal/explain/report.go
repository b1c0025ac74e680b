// Package explain follows the steps from a domain to Postfix's answer and reports
// each of them, for an administrator who wants to know the reason of an answer.
package explain

import (
	"time"

	"mta-sts-daemon/cmd/internal/admin"
	"mta-sts-daemon/cmd/internal/lint"
)

// Verdict is the result of a look: whether the domain publishes a policy now. It
// does not depend on a daemon's cache.
type Verdict string

const (
	HasPolicy  Verdict = "policy"
	NoPolicy   Verdict = "none"
	CannotTell Verdict = "cannot tell"
)

// Report has the result of each step. Steps that were not reached are left out.
// Its JSON form is for scripts: names do not change, new ones may be added.
// Strings in it may hold any bytes that others publish, except for problems and
// the summary, which are lines of printable ASCII.
type Report struct {
	Domain string `json:"domain"`
	// Key is the key of the lookup, if it differs from Domain.
	Key string `json:"key,omitempty"`
	// Outcome is the effect on mail to the domain, and Reason its reason.
	Outcome Outcome `json:"outcome"`
	Reason  string  `json:"reason"`
	// Result is RFC 8460's result type of the failure, if the outcome is broken.
	Result  string  `json:"result,omitempty"`
	Verdict Verdict `json:"verdict"`
	// Problem is the reason for NoPolicy or CannotTell.
	Problem string `json:"problem,omitempty"`
	// Failure is the error that Problem describes.
	Failure    error       `json:"-"`
	Record     Record      `json:"record"`
	PolicyHost *PolicyHost `json:"policy_host,omitempty"`
	Policy     *Policy     `json:"policy,omitempty"`
	MX         MX          `json:"mx"`
	DANE       DANE        `json:"dane"`
	TLSRPT     TLSRPT      `json:"tlsrpt"`
	// Daemon has the running daemon's state of the domain; absent if it was not
	// asked.
	Daemon *Daemon `json:"daemon,omitempty"`
	// Map is the map name by which this host's main.cf asks; "" for a plain lookup.
	Map string `json:"map,omitempty"`
	// Postfix is what Postfix gets for a lookup by that name: the running daemon's
	// own answer or, if it is not asked, that of one that remembers nothing.
	Postfix string `json:"postfix"`
	// Withheld is the answer that mode monitor replaces; absent if it replaces none.
	Withheld string `json:"withheld,omitempty"`
	// OtherMaps are the answers for further map names, by name. Those over
	// tcp_table(5) begin with tcp_table.
	OtherMaps map[string]string `json:"other_maps,omitempty"`
	// PostfixAfresh is the answer of a daemon without a cache; absent if it is
	// the same as Postfix.
	PostfixAfresh string `json:"postfix_afresh,omitempty"`
	// Summary explains in plain words the effect on mail to the domain.
	Summary []string `json:"summary"`
}

// Record is the domain's MTA-STS record.
type Record struct {
	Name string   `json:"name"` // _mta-sts.DOMAIN
	TXT  []string `json:"txt"`  // every TXT record there
	// TTL is in seconds; 0 if the DNS gave no TTL for a missing record.
	TTL      int64          `json:"ttl"`
	Alias    string         `json:"alias,omitempty"` // where CNAME records lead
	ID       string         `json:"id,omitempty"`
	Findings []lint.Finding `json:"findings,omitempty"`
}

// PolicyHost is the host that serves the policy, and its reply.
type PolicyHost struct {
	Name      string    `json:"name"` // mta-sts.DOMAIN
	Addresses []Address `json:"addresses"`
	// AddressProblem is why its addresses are not known.
	AddressProblem string       `json:"address_problem,omitempty"`
	Certificate    *Certificate `json:"certificate,omitempty"`
	Response       *Response    `json:"response,omitempty"`
}

// Address is one address of the policy host.
type Address struct {
	Address string       `json:"address"`
	State   AddressState `json:"state"`
	Problem string       `json:"problem,omitempty"`
}

// AddressState is what became of an address.
type AddressState string

const (
	AddressUsed    AddressState = "used"    // reached, with a valid certificate
	AddressFailed  AddressState = "failed"  // tried in vain
	AddressRefused AddressState = "refused" // not allowed by the configuration
	AddressUntried AddressState = "untried" // not needed: another was faster
)

// Certificate is the policy host's.
type Certificate struct {
	Names    []string  `json:"names"` // DNS names
	Issuer   string    `json:"issuer"`
	NotAfter time.Time `json:"not_after"`
	DaysLeft int       `json:"days_left"`
	// Problem is why it is not valid for the policy host.
	Problem string `json:"problem,omitempty"`
}

// Response is the head of the policy host's answer.
type Response struct {
	Status      int    `json:"status"`
	ContentType string `json:"content_type"`
	Location    string `json:"location,omitempty"` // the target of a redirect
	Size        int    `json:"size"`               // bytes of the policy that were read
}

// Policy is the policy that is published, valid or not.
type Policy struct {
	Valid    bool           `json:"valid"`
	Mode     string         `json:"mode,omitempty"`
	MaxAge   int64          `json:"max_age,omitempty"` // seconds, as policies have it
	MX       []string       `json:"mx,omitempty"`      // usable patterns
	Text     string         `json:"text"`
	Findings []lint.Finding `json:"findings,omitempty"`
}

// MX are the hosts that take the mail: for a next hop in brackets that host.
type MX struct {
	Null   bool `json:"null"`              // the domain accepts no mail (RFC 7505)
	NoName bool `json:"no_name,omitempty"` // the domain does not exist (NXDOMAIN)
	// Authenticated: DNSSEC vouches for the MX records.
	Authenticated bool   `json:"authenticated,omitempty"`
	Hosts         []Host `json:"hosts"`
	Left          int    `json:"left_out,omitempty"` // hosts beyond those listed
	// LeftNames are the names of those.
	LeftNames []string `json:"-"`
	// Patterns are those that the hosts are matched against: the published
	// policy's or, if Postfix is answered by it, the cached policy's.
	Patterns []string `json:"patterns,omitempty"`
	Problem  string   `json:"problem,omitempty"`
}

// Host is one of them.
type Host struct {
	Name string `json:"name"`
	// Preference of the MX record; absent if the host comes from no MX record.
	Preference *uint16 `json:"preference,omitempty"`
	// MatchedBy is the first pattern that allows the host, "" for none.
	MatchedBy string   `json:"matched_by"`
	Addresses []string `json:"addresses"`
	Problem   string   `json:"problem,omitempty"` // why its addresses are not known
	Alias     string   `json:"alias,omitempty"`   // where CNAME records lead
	// DANE is the result for the host's own TLSA records, as if the MX records
	// were authenticated; "" if DANE is not looked up.
	DANE HostDANE `json:"dane,omitempty"`
	// TLSA are the records seen, in the form of a zone file, whoever vouches
	// for them.
	TLSA []string `json:"tlsa,omitempty"`
}

// HostDANE is what DANE says of one host.
type HostDANE string

const (
	HostUsable   HostDANE = "usable"
	HostUnusable HostDANE = "unusable" // TLSA records, but none that can be used
	HostNoTLSA   HostDANE = "none"
	HostUnknown  HostDANE = "unknown" // the DNS cannot say
)

// DANE is what RFC 7672 makes of the next hop.
type DANE struct {
	// Verdict is full, partial, unusable, unknown or none; "" if it is not looked
	// up or could not be found.
	Verdict string `json:"verdict"`
	// Reason explains a verdict of none, unusable or unknown.
	Reason string `json:"reason,omitempty"`
	// Problem is why it is not looked up, or not known.
	Problem string `json:"problem,omitempty"`
}

// TLSRPT has the addresses to which the domain wants reports (RFC 8460).
type TLSRPT struct {
	Name    string   `json:"name"` // _smtp._tls.DOMAIN
	TXT     []string `json:"txt"`
	RUA     []string `json:"rua,omitempty"`
	Problem string   `json:"problem,omitempty"`
	// Failed: the DNS did not answer, and Problem says why.
	Failed bool `json:"-"`
}

// Daemon is the running daemon's state of the domain.
type Daemon struct {
	// Problem is why it could not be asked.
	Problem string `json:"problem,omitempty"`
	// Known is the state before the lookup; absent if the daemon knew nothing.
	Known *admin.Domain `json:"known,omitempty"`
	// Expired: the policy that it remembers has ended.
	Expired bool `json:"expired,omitempty"`
	// Answer is its answer to Postfix now; Withheld is the answer that mode
	// monitor replaces.
	Answer   string `json:"answer,omitempty"`
	Withheld string `json:"withheld,omitempty"`
}
