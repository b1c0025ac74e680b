package doctor

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"mta-sts-daemon/cmd/internal/postconf"
	"mta-sts-daemon/config"
	"mta-sts-daemon/resolver/printable"
	"mta-sts-daemon/socketmap"
)

// deferred ends the texts about a daemon that cannot be asked.
const deferred = ": Postfix cannot ask and defers mail to every domain"

// answers asks t's server as Postfix would.
func (h Host) answers(ctx context.Context, c client, t postconf.Table) []Finding {
	at := c.address(t)
	if at.Network == config.Unix {
		if f := c.socket(t, at.Address); f != nil {
			return []Finding{*f}
		}
	}
	return append(c.name(t), asked(t, at, probe(ctx, t, at)))
}

// asked tells what became of a probe.
func asked(t postconf.Table, at config.Address, err error) Finding {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return unknown(checkAnswers, remedyOfPermissions, "%s cannot be asked: %v", t.Text, err)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return problem(checkAnswers, "start the daemon: systemctl start mta-sts-daemon. If it runs, compare listen in its configuration",
			"Nobody answers at %v"+deferred, at)
	case err != nil:
		return problem(checkAnswers, "look at the daemon's log; what listens there may be another program",
			"%s does not answer as it should: %v"+deferred, t.Text, err)
	}
	return well(checkAnswers, "%s answers", t.Text)
}

// probeKey is a lookup key that is answered at once, without the DNS: no domain
// has a single label.
const probeKey = "doctor"

// probe looks up in t, whose server is at an address, a key that must not be
// found.
func probe(ctx context.Context, t postconf.Table, at config.Address) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("no answer within %v", patience))
	defer cancel()
	if t.Kind == postconf.TypeTCP {
		return probeTCP(ctx, at)
	}
	client, err := socketmap.Dial(ctx, at.Network, at.Address)
	if err != nil {
		return err
	}
	defer client.Close()
	reply, err := client.Lookup(ctx, t.Name, probeKey)
	if err == nil && reply.Status != socketmap.NotFound {
		err = fmt.Errorf("it says %v %s of a name that is no domain", reply.Status, reply.Data)
	}
	return err
}

// probeTCP is probe in tcp_table's protocol.
func probeTCP(ctx context.Context, at config.Address) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, at.Network, at.Address)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprintf(conn, "get %s\n", probeKey); err != nil {
		return err
	}
	reply, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.HasPrefix(reply, "500 ") {
		return fmt.Errorf("it says %s of a name that is no domain", printable.Quote(reply))
	}
	return nil
}

// name is about a jailed client that has to find out where localhost is.
func (c client) name(t postconf.Table) []Finding {
	host, _, _ := net.SplitHostPort(t.Server.Address)
	if !c.jailedFor(t) || !strings.EqualFold(host, postconf.Localhost) {
		return nil
	}
	hosts := c.seen("/etc/hosts", true)
	text, err := os.ReadFile(hosts)
	if err != nil && !errors.Is(err, fs.ErrNotExist) || strings.Contains(string(text), postconf.Localhost) {
		return nil
	}
	return []Finding{hint(checkAnswers, "write 127.0.0.1 in place of localhost; postfix reload",
		"%s: in Postfix's jail no hosts file says where localhost is (%s). Where the resolver does not either, mail to every domain is deferred", t.Text, hosts)}
}
