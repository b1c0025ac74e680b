package shared

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"time"

	"github.com/redis/go-redis/v9"

	"mta-sts-daemon/resolver/shared/storeurl"
)

const (
	// dialTimeout bounds the making of a connection. That may take longer than the
	// timeout of the question that began it; the next one uses the connection then.
	dialTimeout = 3 * time.Second

	// attemptTimeout bounds each wait for the server when no lookup waits.
	attemptTimeout = time.Second
)

// The Redis client has one log for the whole process, a variable of its own, and
// no option per client: every connection that fails writes lines to standard error.
// Its errors say the same. No other package uses it, so init turns the log off; a
// call in New would set the same variable, and would race with the clients that
// there are already.
func init() { redis.SetLogger(discard{}) }

type discard struct{}

func (discard) Printf(context.Context, string, ...any) {}

// connect makes a client. Nothing is dialled yet.
func connect(s storeurl.Servers, roots *x509.CertPool, p pace) redis.UniversalClient {
	return redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs:         s.Addrs,
		MasterName:    s.Master,
		IsClusterMode: s.Cluster(),
		DB:            s.DB,
		Username:      s.User,
		Password:      s.Password,
		Dialer:        dialer(s.TLS, roots, p.connecting),
		Protocol:      2, // nothing of the newer one is used

		ContextTimeoutEnabled: true,
		DialTimeout:           p.connecting,
		ReadTimeout:           p.attempt,
		WriteTimeout:          p.attempt,
		MaxRetries:            1, // a connection may have died since it was last used
		DialerRetries:         1,
		PipelinePoolSize:      -1, // pipelines use the ordinary connections
		DisableIdentity:       true,
	})
}

// dialer returns how a connection is made. A nil roots stands for the system's.
func dialer(encrypted bool, roots *x509.CertPool, timeout time.Duration) func(ctx context.Context, network, addr string) (net.Conn, error) {
	plain := &net.Dialer{Timeout: timeout}
	dial := plain.DialContext
	if encrypted {
		dial = (&tls.Dialer{NetDialer: plain, Config: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}).DialContext
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, timeout) // of the handshake too
		defer cancel()
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &boundedConn{Conn: conn}, nil
	}
}
