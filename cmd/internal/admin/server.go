package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"time"

	"mta-sts-daemon/resolver"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/socketmap"
)

// Controls are the functions of the daemon that requests call.
type Controls struct {
	Status func() Status
	// Health says that lookups cannot be answered, or nothing.
	Health func(context.Context) error
	// Reload puts the configuration file in force, or says why not.
	Reload   func(context.Context) (Reloaded, error)
	Resolver *resolver.Resolver
	// ReplyText returns the reply to Postfix for a lookup by a map name with this
	// answer, and the reply that monitor mode withholds.
	ReplyText func(name socketmap.MapName, hop resolver.NextHop, a resolver.Answer, err error) (reply, withheld string)
	// TCPTable is whether the daemon has a listener for tcp_table(5).
	TCPTable bool
}

// NewHandler returns the handler for the control socket.
func NewHandler(c Controls) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /status", answer(c.status))
	mux.Handle("GET /health", answer(c.health))
	mux.Handle("POST /reload", answer(c.reload))
	mux.HandleFunc("GET /policies", c.policies)
	mux.Handle("GET /changes", answer(c.changes))
	mux.Handle("GET /policies/{domain}", onDomain(c.domain))
	mux.Handle("DELETE /policies/{domain}", onDomain(c.purge))
	mux.Handle("POST /policies/{domain}/refresh", onDomain(c.refresh))
	// Of no path that an odd domain could be cleaned to.
	mux.Handle("POST /purge-all", answer(c.purgeAll))
	mux.Handle("POST /lookups/{key}", answer(c.lookup))
	return acknowledge(mux)
}

// acknowledge sends 102 before it hands a request on. A request that was received
// while the daemon was stopped may have lost its client: then sending fails, which
// ends the request's context.
func acknowledge(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.ProtoAtLeast(1, 1) { // RFC 9110 section 15.2
			w.WriteHeader(http.StatusProcessing)
		}
		if req.Context().Err() == nil {
			next.ServeHTTP(w, req)
		}
	})
}

// statusOf is the only place where errors become HTTP statuses.
func statusOf(err error) int {
	switch {
	case errors.Is(err, ErrNotDomain), errors.Is(err, errNoTime):
		return http.StatusBadRequest
	case errors.Is(err, errNothing):
		return http.StatusNotFound
	}
	return http.StatusInternalServerError
}

var errNoTime = errors.New("since is not a time of RFC 3339")

// errNothing says that nothing is known of a domain. A Client makes it ErrUnknown.
var errNothing = errors.New("nothing is known")

func (c Controls) status(*http.Request) (any, error) { return c.Status(), nil }

func (c Controls) health(req *http.Request) (any, error) {
	return struct{}{}, c.Health(req.Context())
}

func (c Controls) reload(req *http.Request) (any, error) { return c.Reload(req.Context()) }

func (c Controls) policies(w http.ResponseWriter, req *http.Request) {
	writeLines(w, func(yield func(Listed) bool) {
		for listed := range c.list {
			if req.Context().Err() != nil || !yield(listed) {
				return
			}
		}
	})
}

func (c Controls) changes(req *http.Request) (any, error) {
	since, err := time.Parse(time.RFC3339, req.FormValue("since"))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoTime, err)
	}
	return c.history(since), nil
}

func (c Controls) history(since time.Time) History {
	changes, complete := c.Resolver.Changes(since)
	history := History{Complete: complete, Changes: make([]Change, 0, len(changes))}
	for _, ch := range changes {
		history.Changes = append(history.Changes, Change{At: ch.At, Kind: ch.Kind.String(), Domain: ch.Domain.String(), OldMode: ch.OldMode,
			NewMode: ch.NewMode, Added: ch.Added, Removed: ch.Removed, ID: ch.ID, Reason: ch.Detail, Count: ch.Count})
	}
	return history
}

func (c Controls) purgeAll(req *http.Request) (any, error) {
	count, err := c.Resolver.PurgeAll(req.Context())
	return Purged{count}, err
}

func (c Controls) purge(req *http.Request, d mtasts.Domain) (any, error) {
	return Purged{1}, c.Resolver.Purge(req.Context(), d)
}

func (c Controls) domain(_ *http.Request, d mtasts.Domain) (any, error) {
	k, ok := c.Resolver.Known(d)
	if !ok {
		return nil, fmt.Errorf("%w of %v", errNothing, d)
	}
	return c.describe(k, c.deferrals()[d]), nil
}

func (c Controls) refresh(req *http.Request, d mtasts.Domain) (any, error) {
	if err := c.Resolver.Refresh(req.Context(), d); err != nil {
		return nil, fmt.Errorf("the policy of %v could not be refreshed: %w", d, err)
	}
	k, _ := c.Resolver.Known(d) // nothing if its max_age is 0
	k.Domain = d
	return c.describe(k, c.deferrals()[d]), nil
}

// lookup returns the reply that Postfix would get, found in the same way.
func (c Controls) lookup(req *http.Request) (any, error) {
	hop, err := parseKey(req.PathValue("key"))
	if err != nil {
		return nil, err
	}
	answer, ok := c.Resolver.Cached(hop, time.Now())
	if !ok {
		answer, err = c.Resolver.Resolve(req.Context(), hop)
	}
	reply, withheld := c.ReplyText(socketmap.MapName{Name: req.FormValue("map"), TCP: req.FormValue("tcp") == "true"}, hop, answer, err)
	return Lookup{Answer: reply, Withheld: withheld}, nil
}

// onDomain hands on the domain in the request's path.
func onDomain(handle func(*http.Request, mtasts.Domain) (any, error)) http.Handler {
	return answer(func(req *http.Request) (any, error) {
		hop, err := parseKey(req.PathValue("domain"))
		if err != nil {
			return nil, err
		}
		return handle(req, hop.Domain)
	})
}

// answer writes the value that a request gets, or an Error.
func answer(handle func(*http.Request) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		value, err := handle(req)
		w.Header().Set("Content-Type", "application/json")
		if err != nil {
			w.WriteHeader(statusOf(err))
			value = Error{err.Error()}
		}
		json.NewEncoder(w).Encode(value) // fails only if the client has gone
	})
}

// writeLines writes a value a line, until one cannot be written.
func writeLines(w http.ResponseWriter, values iter.Seq[Listed]) {
	w.Header().Set("Content-Type", "application/jsonl")
	out := json.NewEncoder(w)
	for value := range values {
		if out.Encode(value) != nil {
			return
		}
	}
}
