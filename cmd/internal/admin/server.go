package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"time"

	"mta-sts-daemon/resolver"
	"mta-sts-daemon/resolver/mtasts"
)

// Controls are what the socket may ask of the daemon.
type Controls struct {
	Status func() Status
	// Health says that lookups cannot be answered, or nothing.
	Health func(context.Context) error
	// Reload puts the configuration file in force, or says why not.
	Reload   func(context.Context) (Reloaded, error)
	Resolver *resolver.Resolver
	// Tell is what Postfix is told of a lookup by a map name that is answered so, and
	// what monitor mode withholds.
	Tell func(name string, hop resolver.NextHop, a resolver.Answer, err error) (told, withheld string)
}

// NewHandler returns the handler for the control socket.
func NewHandler(c Controls) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", c.status)
	mux.HandleFunc("GET /health", c.health)
	mux.HandleFunc("POST /reload", c.reload)
	mux.HandleFunc("GET /policies", c.policies)
	mux.HandleFunc("GET /changes", c.changes)
	mux.HandleFunc("GET /policies/{domain}", onDomain(c.domain))
	mux.HandleFunc("DELETE /policies/{domain}", onDomain(c.purge))
	mux.HandleFunc("POST /policies/{domain}/refresh", onDomain(c.refresh))
	// Of no path that an odd domain could be cleaned to.
	mux.HandleFunc("POST /purge-all", c.purgeAll)
	mux.HandleFunc("POST /lookups/{key}", c.lookup)
	return mux
}

func (c Controls) status(w http.ResponseWriter, _ *http.Request) { reply(w, c.Status()) }

func (c Controls) health(w http.ResponseWriter, req *http.Request) {
	if err := c.Health(req.Context()); err != nil {
		fail(w, http.StatusServiceUnavailable, err)
		return
	}
	reply(w, struct{}{})
}

func (c Controls) reload(w http.ResponseWriter, req *http.Request) {
	done, err := c.Reload(req.Context())
	if err != nil {
		fail(w, http.StatusUnprocessableEntity, err)
		return
	}
	reply(w, done)
}

func (c Controls) policies(w http.ResponseWriter, req *http.Request) {
	writeLines(w, func(yield func(Listed) bool) {
		for listed := range c.list {
			if req.Context().Err() != nil || !yield(listed) {
				return
			}
		}
	})
}

func (c Controls) changes(w http.ResponseWriter, req *http.Request) {
	since, err := time.Parse(time.RFC3339, req.FormValue("since"))
	if err != nil {
		fail(w, http.StatusBadRequest, err)
		return
	}
	changes, complete := c.Resolver.Changes(since)
	history := History{Complete: complete, Changes: make([]Change, 0, len(changes))}
	for _, ch := range changes {
		history.Changes = append(history.Changes, Change{At: ch.At, Kind: ch.Kind.String(), Domain: ch.Domain.String(), OldMode: ch.OldMode,
			NewMode: ch.NewMode, Added: ch.Added, Removed: ch.Removed, ID: ch.ID, Reason: ch.Detail, Count: ch.Count})
	}
	reply(w, history)
}

func (c Controls) purgeAll(w http.ResponseWriter, req *http.Request) {
	count, err := c.Resolver.PurgeAll(req.Context())
	purged(w, count, err)
}

func (c Controls) purge(w http.ResponseWriter, req *http.Request, d mtasts.Domain) {
	purged(w, 1, c.Resolver.Purge(req.Context(), d))
}

func purged(w http.ResponseWriter, count int, err error) {
	if err != nil {
		fail(w, http.StatusBadGateway, err)
		return
	}
	reply(w, Purged{count})
}

func (c Controls) domain(w http.ResponseWriter, _ *http.Request, d mtasts.Domain) {
	k, ok := c.Resolver.Known(d)
	if !ok {
		fail(w, http.StatusNotFound, fmt.Errorf("nothing is known of %v", d))
		return
	}
	reply(w, c.describe(k, c.Resolver.Deferrals()[d]))
}

func (c Controls) refresh(w http.ResponseWriter, req *http.Request, d mtasts.Domain) {
	if err := c.Resolver.Refresh(req.Context(), d); err != nil {
		fail(w, http.StatusBadGateway, fmt.Errorf("the policy of %v was not renewed: %w", d, err))
		return
	}
	k, _ := c.Resolver.Known(d) // nothing, where its max_age is 0
	k.Domain = d
	reply(w, c.describe(k, c.Resolver.Deferrals()[d]))
}

// lookup is what Postfix would be told, found out as for Postfix.
func (c Controls) lookup(w http.ResponseWriter, req *http.Request) {
	hop, err := parseKey(req.PathValue("key"))
	if err != nil {
		fail(w, http.StatusBadRequest, err)
		return
	}
	answer, ok := c.Resolver.Cached(hop, time.Now())
	if !ok {
		answer, err = c.Resolver.Resolve(req.Context(), hop)
	}
	told, withheld := c.Tell(req.FormValue("map"), hop, answer, err)
	reply(w, Lookup{Answer: told, Withheld: withheld})
}

// onDomain hands on the domain in the request's path.
func onDomain(handle func(http.ResponseWriter, *http.Request, mtasts.Domain)) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		hop, err := parseKey(req.PathValue("domain"))
		if err != nil {
			fail(w, http.StatusBadRequest, err)
			return
		}
		handle(w, req, hop.Domain)
	}
}

func reply(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(value) // fails only when the client has gone
}

func fail(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(Error{err.Error()})
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
