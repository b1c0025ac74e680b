// Package admin is the daemon's control socket: HTTP with JSON on a unix socket
// of its own, never on the sockets that Postfix uses. A user with access to the
// socket may make every request.
//
// The daemon acknowledges each request at once with 102 (RFC 2518 section 10.1)
// and then takes as long as it needs. So a client can distinguish a daemon that
// works from one that hangs. A request whose client has gone by then is not
// carried out.
//
//	GET    /status             Status
//	GET    /health             whether lookups can be answered
//	POST   /reload             Reloaded
//	GET    /policies           one Listed a line
//	GET    /changes?since=T    History; T is a time of RFC 3339
//	GET    /policies/DOMAIN    Domain
//	DELETE /policies/DOMAIN    removes one: Purged
//	POST   /policies/DOMAIN/refresh   Domain
//	POST   /purge-all          removes all: Purged
//	POST   /lookups/KEY?map=M  Lookup by a map name; with &tcp=true over tcp_table(5)
//
// A request that fails gets an Error, with 400 for a name that can have no policy
// or an invalid time, 404 for a domain of which nothing is known, and 500 if the
// daemon could not do it.
package admin

import (
	"time"

	"mta-sts-daemon/config"
	"mta-sts-daemon/resolver/store"
)

// Status is how the daemon fares.
type Status struct {
	Version string    `json:"version"`
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	// Policies counts those on disk or, without a file, in memory.
	Policies int `json:"policies"`
	// RefreshFailing counts the policies that cannot be refreshed.
	RefreshFailing int `json:"refresh_failing"`
	// Mismatched counts the domains whose enforced policy matches no MX host, Deferred
	// those of which a lookup was answered with TEMP. DANE or an override may let mail to
	// them through; Listed has the present answer.
	Mismatched int `json:"mismatched"`
	Deferred   int `json:"deferred"`
	// Monitor says that Postfix is answered NOTFOUND.
	Monitor bool `json:"monitor,omitempty"`
	// StoreError is why policies cannot be saved; empty while they can.
	StoreError string `json:"store_error,omitempty"`
	// Unreachable is why no policy host can be reached from this host; empty if that is
	// not so, or not known.
	Unreachable string `json:"unreachable,omitempty"`
	// Shared is whether there is a shared store, SharedError why it cannot be used; empty
	// while it can.
	Shared      bool   `json:"shared"`
	SharedError string `json:"shared_error,omitempty"`
	// DNSError is why names cannot be looked up; empty while the DNS answers.
	DNSError string `json:"dns_error,omitempty"`
	// AuthoritiesError is the problem with the certificate authorities; empty if
	// all of them can be used.
	AuthoritiesError string `json:"authorities_error,omitempty"`
	// ConfigError is why the last reload was refused; empty if it was not.
	ConfigError string `json:"config_error,omitempty"`
	// DANE is whether DANE takes precedence over MTA-STS; DANEOff is why it is left to
	// Postfix.
	DANE    bool   `json:"dane"`
	DANEOff string `json:"dane_off,omitempty"`
	// Socketmap and TCPTable are the listeners for lookups: sockets that systemd passed,
	// or else those of the configuration.
	Socketmap []config.Address  `json:"socketmap,omitempty"`
	TCPTable  []config.TCPTable `json:"tcp_table,omitempty"`
	// LostSockets are unix sockets among these that clients do not find.
	LostSockets []LostSocket `json:"lost_sockets,omitempty"`
}

// LostSocket is a unix socket whose file is gone or is another program's.
type LostSocket struct {
	Path    string `json:"path"`
	Reason  string `json:"reason"`
	Systemd bool   `json:"systemd"` // systemd has made it, and can make it again
}

// Reloaded is what became of a reload.
type Reloaded struct {
	// NeedRestart are the keys that were changed and take a restart.
	NeedRestart []string `json:"need_restart,omitempty"`
}

// Policy is a policy that the daemon keeps. Times are in UTC.
type Policy struct {
	Domain string   `json:"domain"`
	Mode   string   `json:"mode"`
	ID     string   `json:"id"`
	MX     []string `json:"mx,omitempty"`
	MaxAge int64    `json:"max_age"` // in seconds
	// Answer is the reply to Postfix: "OK secure match=…", "NOTFOUND" or, if DANE
	// decides, the reply that DANE leads to as far as its verdict is known.
	Answer string `json:"answer"`
	// Withheld is the answer that monitor mode replaced; absent if it replaced none.
	Withheld string `json:"withheld,omitempty"`
	// TCPTable is the answer over tcp_table(5), in mode enforce if the mode is monitor. It is
	// absent if it is the same or the daemon has no such listener.
	TCPTable string    `json:"tcp_table,omitempty"`
	Fetched  time.Time `json:"fetched,omitzero"`
	Expires  time.Time `json:"expires,omitzero"`
	Recheck  time.Time `json:"recheck,omitzero"` // the record is asked for again from then on
	Refresh  time.Time `json:"refresh,omitzero"` // the policy is fetched again by itself
	Used     time.Time `json:"used,omitzero"`    // last lookup, to some minutes
	// Failures counts the fetches that failed in a row.
	Failures int `json:"failures,omitempty"`
}

// Condition is the state of a domain and its problems.
type Condition struct {
	// State has the domain's state and, if they apply, more of the States.
	State []string `json:"state"`
	// Failure is why the policy could not be fetched the last time.
	Failure *Failure `json:"failure,omitempty"`
	// RecordGone is since when a live policy has no valid record, Mismatch since
	// when it matches no MX host.
	RecordGone time.Time `json:"record_gone,omitzero"`
	Mismatch   time.Time `json:"mismatch,omitzero"`
	// MismatchLookups counts the lookups in this process while no MX host matched.
	MismatchLookups int64 `json:"mismatch_lookups,omitempty"`
	// Deferred are the domain's next hops whose lookups are answered with TEMP.
	Deferred []Deferral `json:"deferred,omitempty"`
	// Reason is why nothing could be learned of the domain, if that is so.
	Reason string `json:"reason,omitempty"`
}

// The words of Condition.State, those that need the operator first.
const (
	StateTemp       = "temp"        // lookups are answered with TEMP
	StateMismatch   = "mismatch"    // no MX host matches the enforced policy
	StateExpiring   = "expiring"    // failing, enforced, and it ends within 48 hours
	StateFailing    = "failing"     // the refresh of a live policy fails
	StateExpired    = "expired"     // an enforced policy ended without a successor
	StateBroken     = "broken"      // a policy is announced and cannot be used
	StateRecordGone = "record-gone" // a live policy has no valid record
	StateEnforce    = "enforce"
	StateTesting    = "testing"
	StateNone       = "none"
	StateAbsent     = "absent"
	StateUnknown    = "unknown"
)

// States returns the words of Condition.State, those that need the operator first.
func States() []string {
	return []string{StateTemp, StateMismatch, StateExpiring, StateFailing, StateExpired, StateBroken, StateRecordGone,
		StateEnforce, StateTesting, StateNone, StateAbsent, StateUnknown}
}

// Failure is a policy that could not be fetched.
type Failure struct {
	// Result is the result type of RFC 8460 section 4.3; empty if the cause is not
	// the publisher's.
	Result  string    `json:"result,omitempty"`
	Reason  string    `json:"reason,omitempty"` // empty after a restart
	ID      string    `json:"id,omitempty"`
	Count   int       `json:"count"` // attempts in a row
	Since   time.Time `json:"since,omitzero"`
	Retry   time.Time `json:"retry,omitzero"`
	Lookups int64     `json:"lookups"` // since then that went without a policy
}

// Deferral is a next hop whose lookups are answered with TEMP, because DANE cannot be
// looked up.
type Deferral struct {
	NextHop string    `json:"next_hop"` // as Postfix writes it
	Reason  string    `json:"reason"`   // the question that failed
	Since   time.Time `json:"since"`
	Last    time.Time `json:"last"` // the last such lookup
	Lookups int       `json:"lookups"`
}

// Listed is a domain with a policy, or with trouble. Without a policy only Domain and
// Answer of Policy are set.
type Listed struct {
	Condition
	Policy
}

// History is what changed. It is complete from Complete on.
type History struct {
	Complete time.Time `json:"complete"`
	Changes  []Change  `json:"changes"` // the newest first
}

// Change is an event in the history of a domain.
type Change struct {
	At time.Time `json:"at"`
	// Kind is one of Kinds.
	Kind    string   `json:"kind"`
	Domain  string   `json:"domain,omitempty"` // empty for all
	OldMode string   `json:"old_mode,omitempty"`
	NewMode string   `json:"new_mode,omitempty"`
	Added   []string `json:"mx_added,omitempty"`
	Removed []string `json:"mx_removed,omitempty"`
	ID      string   `json:"id,omitempty"`
	Reason  string   `json:"reason,omitempty"`
	Count   int      `json:"count,omitempty"` // of policies, when all were purged
}

// Kinds returns the kinds of changes.
func Kinds() (names []string) {
	for k := range store.ChangeKinds {
		names = append(names, k.String())
	}
	return names
}

// Domain is all that the daemon knows of a domain.
type Domain struct {
	Domain string `json:"domain"`
	Condition
	Policy *Policy `json:"policy,omitempty"`
	// NoneUntil is set if the domain is known to have no policy.
	NoneUntil time.Time `json:"none_until,omitzero"`
	// Retry is set if it is not known whether the domain has a policy, or if its policy could
	// not be used: a lookup tries again after that time.
	Retry time.Time `json:"retry,omitzero"`
	// FailedID is the policy id that no policy could be fetched for.
	FailedID string    `json:"failed_id,omitempty"`
	DANE     []Verdict `json:"dane,omitempty"`
}

// Verdict is what DANE says of a next hop.
type Verdict struct {
	NextHop string    `json:"next_hop"` // as Postfix writes it
	Kind    string    `json:"kind"`
	Until   time.Time `json:"until"`
}

// Lookup is a lookup as Postfix makes it.
type Lookup struct {
	Answer string `json:"answer"`
	// Withheld is the answer that monitor mode replaced.
	Withheld string `json:"withheld,omitempty"`
}

// Purged says how many policies were forgotten.
type Purged struct {
	Policies int `json:"policies"`
}

// Error is what went wrong, in words for the operator.
type Error struct {
	Error string `json:"error"`
}
