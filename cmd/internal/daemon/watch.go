package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"

	"mta-sts-daemon/cmd/internal/admin"
	"mta-sts-daemon/resolver/event"
)

// watched is a listener whose socket file can be removed by others.
type watched interface {
	net.Listener
	// check checks whether clients still find the socket, and makes its file again
	// if it can. The error says why they do not find it.
	check() (restored bool, err error)
}

// watch checks listeners and logs what changes. It is safe for concurrent use.
type watch struct {
	logger *slog.Logger
	lost   event.Event // logged for a socket that is lost

	mu        sync.Mutex
	listeners []watched
	reported  map[watched]bool // those that are lost
}

// set replaces the listeners. Those that have no file are left out.
func (w *watch) set(listeners []net.Listener) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.listeners, w.reported = nil, map[watched]bool{}
	for _, l := range listeners {
		if l, ok := l.(watched); ok {
			w.listeners = append(w.listeners, l)
		}
	}
}

// check returns the sockets that clients do not find.
func (w *watch) check() (lost []admin.LostSocket) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range w.listeners {
		path := l.Addr().String()
		restored, err := l.check()
		if restored || err == nil && w.reported[l] {
			event.SocketRestored.Log(w.logger, slog.String("socket", path))
		}
		if err != nil {
			lost = append(lost, admin.LostSocket{Path: path, Reason: err.Error(), Systemd: errors.Is(err, errPassedSocketGone)})
			if !w.reported[l] {
				w.lost.Log(w.logger, slog.String("socket", path), event.Reason(err))
			}
		}
		w.reported[l] = err != nil
	}
	return lost
}

// err returns what check finds in one line, nil if clients find all sockets.
func (w *watch) err() error {
	var reasons []string
	for _, lost := range w.check() {
		reasons = append(reasons, fmt.Sprintf("nobody can connect to %s: %s", lost.Path, lost.Reason))
	}
	if reasons == nil {
		return nil
	}
	return errors.New(strings.Join(reasons, "; "))
}
