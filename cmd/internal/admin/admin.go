// Package admin is the daemon's control socket: HTTP with JSON on a unix socket
// of its own, never on the sockets that Postfix uses. A user with access to
// the socket may make every request.
//
// The daemon acknowledges each request at once with 102 (RFC 2518 section 10.1) and
// then takes as long as it needs. So a client can tell one that works from one that
// hangs. A request whose client has gone by then is not carried out.
//
//	GET    /status             Status
//	GET    /health             whether lookups can be answered
//	POST   /reload             Reloaded
//	GET    /policies           one Policy a line
//	GET    /policies/DOMAIN    Domain
//	DELETE /policies/DOMAIN    removes one: Purged
//	POST   /policies/DOMAIN/refresh   Domain
//	POST   /purge-all          removes all: Purged
//	POST   /lookups/KEY        Lookup
//
// A request that fails gets an Error, with 400 for a name that can have no policy,
// 404 for a domain of which nothing is known, and 500 if the daemon could not do it.
package admin

import "time"

// Status is how the daemon fares.
type Status struct {
	Version string    `json:"version"`
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	// Policies counts those on disk or, without a file, in memory.
	Policies int `json:"policies"`
	// RefreshFailing counts the policies that cannot be renewed.
	RefreshFailing int `json:"refresh_failing"`
	// StoreError is why policies cannot be written down; empty while they can.
	StoreError string `json:"store_error,omitempty"`
	// SharedError is why the shared store cannot be used; empty while it can,
	// and where there is none.
	SharedError string `json:"shared_error,omitempty"`
	// ConfigError is why the last reload was refused; empty if it was not.
	ConfigError string `json:"config_error,omitempty"`
	// DANE is whether DANE goes before MTA-STS.
	DANE bool `json:"dane"`
	// Listen are the addresses where lookups are answered.
	Listen []string `json:"listen"`
	// LostSockets are unix sockets among Listen that clients do not find.
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
	// Answer is what Postfix is told: "OK secure match=…", "NOTFOUND" or, as far
	// as it is known, what DANE has it told.
	Answer  string    `json:"answer"`
	Fetched time.Time `json:"fetched"`
	Expires time.Time `json:"expires"`
	Recheck time.Time `json:"recheck"`          // the record is asked for again from then on
	Refresh time.Time `json:"refresh,omitzero"` // the policy is fetched again by itself
	Used    time.Time `json:"used"`             // last lookup, to some minutes
	// Failures counts the fetches that failed in a row.
	Failures int `json:"failures,omitempty"`
}

// Domain is all that the daemon knows of a domain.
type Domain struct {
	Domain string  `json:"domain"`
	Policy *Policy `json:"policy,omitempty"`
	// NoneUntil is set where the domain is known to have no policy.
	NoneUntil time.Time `json:"none_until,omitzero"`
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
}

// Purged says how many policies were forgotten.
type Purged struct {
	Policies int `json:"policies"`
}

// Error is what went wrong, in words for the operator.
type Error struct {
	Error string `json:"error"`
}
