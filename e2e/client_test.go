package e2e

import (
	"time"

	"mta-sts-daemon/e2e/internal/mapclient"
)

// connectionLife is how many lookups one connection serves under load. Processes of Postfix
// end after some messages too: new ones must always be accepted.
const connectionLife = 50

// newClient returns a client that asks the daemon as Postfix does.
func newClient() *mapclient.Client {
	return &mapclient.Client{Address: daemonAddr, Life: connectionLife}
}

// startLoad has n clients at a time ask the daemon.
func startLoad(n int, pause time.Duration, next func(i int) mapclient.Question) *mapclient.Load {
	return mapclient.Start(n, pause, newClient, next)
}

// askOnce asks the daemon once.
func askOnce(key string) (answer string, err error) {
	c := newClient()
	defer c.Close()
	return c.Lookup(key)
}

// questionOf is about a domain whose policy is enforce's.
func questionOf(domain string) mapclient.Question {
	return mapclient.Question{Key: domain, Want: secure(domain)}
}
