package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/net/netutil"

	"mta-sts-daemon/config"
	"mta-sts-daemon/resolver/event"
)

const (
	// webConnections bounds each listener, so that whoever reaches it cannot
	// take the descriptors that lookups need.
	webConnections = 64
	webHeaderWait  = 10 * time.Second
	webIdle        = 30 * time.Second
	webHeaderLen   = 16 << 10
	// webGrace is how long requests under way have when their listener goes.
	webGrace = 5 * time.Second
)

// web is an HTTP listener for operators, beside those of Postfix. A reload may
// move it, unless systemd holds its sockets.
type web struct {
	handler http.Handler
	where   func(config.Config) place
	logger  *slog.Logger
	held    bool           // by systemd
	at      config.Address // zero: nowhere, or held

	server    *http.Server // nil: nowhere
	listeners []net.Listener
	sockets   watch // the listeners
}

// newWeb serves h on what systemd passed, if anything.
func newWeb(h http.Handler, passed []net.Listener, where func(config.Config) place, logger *slog.Logger) *web {
	w := &web{handler: h, where: where, logger: logger, held: len(passed) > 0,
		sockets: watch{logger: logger, lost: event.ListenerUnavailable}}
	for _, l := range passed {
		w.serve(l)
	}
	return w
}

// move is a listener opened that does not serve yet.
type move struct {
	web      *web
	at       config.Address
	listener net.Listener // nil: nowhere
}

// prepare opens a listener where cfg wants it. The move is nil where there is
// nothing to do.
func (w *web) prepare(cfg config.Config) (*move, error) {
	if w.held {
		return nil, nil
	}
	p := w.where(cfg)
	if p.at == w.at {
		return nil, nil
	}
	m := &move{web: w, at: p.at}
	if p.at.IsZero() {
		return m, nil
	}
	var err error
	if p.at.Network == config.Unix {
		err = os.MkdirAll(filepath.Dir(p.at.Address), 0o700)
	}
	if err == nil {
		m.listener, err = listenAt(p.at, p.access)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.key, err)
	}
	return m, nil
}

// commit serves at the new address in the place of the old one.
func (m *move) commit() {
	if m == nil {
		return
	}
	m.web.close()
	m.web.at = m.at
	if m.listener != nil {
		m.web.serve(m.listener)
	}
}

// abandon leaves things as they are.
func (m *move) abandon() {
	if m != nil && m.listener != nil {
		m.listener.Close()
	}
}

func (w *web) serve(l net.Listener) {
	if w.server == nil {
		w.server = &http.Server{
			Handler:           w.handler,
			ReadHeaderTimeout: webHeaderWait,
			IdleTimeout:       webIdle,
			MaxHeaderBytes:    webHeaderLen,
			ErrorLog:          slog.NewLogLogger(w.logger.Handler(), slog.LevelDebug),
		}
	}
	w.listeners = append(w.listeners, l)
	w.sockets.set(w.listeners)
	go w.server.Serve(netutil.LimitListener(l, webConnections)) // until close
}

// close stops listening at once; requests under way go on for a while.
func (w *web) close() {
	if w.server == nil {
		return
	}
	for _, l := range w.listeners {
		l.Close()
	}
	w.sockets.set(nil)
	server := w.server
	w.server, w.listeners, w.at = nil, nil, config.Address{}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), webGrace)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			server.Close()
		}
	}()
}
