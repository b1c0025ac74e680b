package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"

	"mta-sts-daemon/cmd/internal/webconns"
	"mta-sts-daemon/config"
	"mta-sts-daemon/resolver/event"
)

const (
	// monitoringConns and controlConns limit the connections of each web, so that
	// nobody can take the file descriptors that lookups need. Commands are not
	// disconnected while they wait: few run at the same time, and one has at most 32.
	monitoringConns = 64
	controlConns    = 256

	// webGrace is how long requests under way have when their listener is closed.
	webGrace = 5 * time.Second
)

// web is an HTTP listener for operators, next to those of Postfix. A reload may
// move it, unless systemd holds its sockets.
type web struct {
	handler http.Handler
	conns   *webconns.Conns
	where   func(config.Config) place
	logger  *slog.Logger
	held    bool  // by systemd
	at      place // by the configuration in force, also if it cannot be opened; zero: nowhere, or held

	server    *http.Server // nil: not open
	listeners []net.Listener
	sockets   watch // the listeners
}

// newWeb serves h on what systemd passed, if anything.
func newWeb(h http.Handler, limit int, passed []net.Listener, where func(config.Config) place, logger *slog.Logger) *web {
	w := &web{handler: h, conns: webconns.New(limit), where: where, logger: logger, held: len(passed) > 0,
		sockets: watch{logger: logger, lost: event.ListenerUnavailable}}
	for _, l := range passed {
		w.serve(l)
	}
	return w
}

// move is a listener that is open and does not serve yet.
type move struct {
	web      *web
	to       place
	listener net.Listener // nil: nowhere
	closed   bool         // the old listener had to be closed first
}

// prepare opens a listener where cfg wants it. The move is nil if there is nothing to
// do. That the address in force still cannot be opened is logged and no error, so that the
// rest of a new configuration applies. With an error, the move is to no listener.
func (w *web) prepare(cfg config.Config) (*move, error) {
	if w.held {
		return nil, nil
	}
	p := w.where(cfg)
	if p.at == w.at.at && (w.server != nil || p.at.IsZero()) {
		return nil, nil
	}
	m := &move{web: w, to: p}
	if p.at.IsZero() {
		return m, nil
	}
	var err error
	if m.listener, err = p.listen(); errors.Is(err, syscall.EADDRINUSE) && p.at.Network == config.TCP && w.server != nil {
		// The old listener may be in the way, as 0.0.0.0:P is of 127.0.0.1:P.
		m.closed = true
		w.closeListeners()
		m.listener, err = p.listen()
	}
	if err != nil {
		m.abandon()
		err = fmt.Errorf("%s: %w", p.key, err)
		if p.at == w.at.at {
			event.ListenerUnavailable.Log(w.logger, event.Reason(err))
			return nil, nil
		}
		return &move{web: w, to: p}, err
	}
	return m, nil
}

// commit serves at the new address in the place of the old one.
func (m *move) commit() {
	if m == nil {
		return
	}
	m.web.close()
	m.web.at = m.to
	if m.listener != nil {
		m.web.serve(m.listener)
	}
}

// abandon leaves things as they were.
func (m *move) abandon() {
	if m == nil {
		return
	}
	if m.listener != nil {
		m.listener.Close()
	}
	if !m.closed {
		return
	}
	l, err := m.web.at.listen()
	if err != nil {
		event.ListenerUnavailable.Log(m.web.logger, event.Reason(fmt.Errorf("%s: %w", m.web.at.key, err)))
		m.web.close()
		return
	}
	m.web.serve(l)
}

func (w *web) serve(l net.Listener) {
	if w.server == nil {
		w.server = w.conns.Server(w.handler, w.logger)
	}
	w.listeners = append(w.listeners, l)
	w.sockets.set(w.listeners)
	go w.server.Serve(w.conns.Listener(l)) // until close
}

func (w *web) closeListeners() {
	for _, l := range w.listeners {
		l.Close()
	}
	w.listeners = nil
	w.sockets.set(nil)
}

// close stops listening at once; requests under way go on for a while.
func (w *web) close() {
	if w.server == nil {
		return
	}
	w.closeListeners()
	server := w.server
	w.server = nil
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), webGrace)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			server.Close()
		}
	}()
}
