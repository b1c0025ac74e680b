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

const remedyOfSilence = "start the daemon: systemctl start mta-sts-daemon. If it runs, compare listen in its configuration"

// answers asks t's server as Postfix would; scope is the mail that is deferred if it
// does not answer.
func (h Host) answers(ctx context.Context, c client, t postconf.Table, scope string) judgement {
	at, ours := c.address(t), h.listensAt(c, t)
	var f *Finding
	if at.Network == config.Unix {
		f = c.socket(t, at.Address, scope)
	}
	if f == nil {
		reply, err := probe(ctx, t, at)
		f = asked(t, at, scope, reply, err, ours)
	}
	switch {
	case f == nil && ours:
		return judgement{findings: append(c.name(t), well(checkAnswers, "%s answers", t.Text))}
	case f == nil:
		return judgement{}
	case !ours && f.Severity == Problem:
		f.Remedy = fmt.Sprintf(" (or have the program that should answer at %v do so)", at)
		return dropped(*f)
	}
	return judgement{findings: []Finding{*f}}
}

// asked returns the finding about a reply to a probe; nil if the reply is good.
// The daemon does not find the key of the probe; another program may.
func asked(t postconf.Table, at config.Address, scope string, reply socketmap.Reply, err error, ours bool) *Finding {
	if err == nil && ours && reply.Status != socketmap.NotFound {
		err = fmt.Errorf("the reply to a name that is no domain is %v %s", reply.Status, printable.Quote(string(reply.Data)))
	}
	var f Finding
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrPermission):
		f = unknown(checkAnswers, remedyOfPermissions, "%s cannot be asked: %v", t.Text, err)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		f = problem(checkAnswers, remedyOfSilence, "Nobody answers at %v, so %s", at, scope)
	default:
		f = problem(checkAnswers, "read the daemon's log; another program may listen there",
			"%s does not answer as it should: %v, so %s", t.Text, err, scope)
	}
	return &f
}

// probeKey is a lookup key that is answered at once, without the DNS: no domain
// has a single label.
const probeKey = "doctor"

// probe looks probeKey up in t, whose server is at an address.
func probe(ctx context.Context, t postconf.Table, at config.Address) (socketmap.Reply, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("no answer within %v", patience))
	defer cancel()
	if t.Kind == postconf.TypeTCP {
		return probeTCP(ctx, at)
	}
	client, err := socketmap.Dial(ctx, at.Network, at.Address)
	if err != nil {
		return socketmap.Reply{}, err
	}
	defer client.Close()
	return client.Lookup(ctx, t.Name, probeKey)
}

// probeTCP is probe in tcp_table's protocol.
func probeTCP(ctx context.Context, at config.Address) (r socketmap.Reply, err error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, at.Network, at.Address)
	if err != nil {
		return r, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprintf(conn, "get %s\n", probeKey); err != nil {
		return r, err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return r, err
	}
	code, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
	status, ok := map[string]socketmap.Status{"200": socketmap.OK, "400": socketmap.Temp, "500": socketmap.NotFound}[code]
	if !ok {
		return r, fmt.Errorf("the reply is %s", printable.Quote(line))
	}
	return socketmap.Reply{Status: status, Data: []byte(text)}, nil
}

// name is about a client in a chroot that has to resolve localhost.
func (c client) name(t postconf.Table) []Finding {
	host, _, _ := net.SplitHostPort(t.Server.Address)
	if !c.inChroot(t) || !strings.EqualFold(host, postconf.Localhost) {
		return nil
	}
	hosts := c.seen("/etc/hosts", true)
	text, err := os.ReadFile(hosts)
	if err != nil && !errors.Is(err, fs.ErrNotExist) || strings.Contains(string(text), postconf.Localhost) {
		return nil
	}
	return []Finding{hint(checkAnswers, "write 127.0.0.1 in place of localhost; postfix reload",
		"%s: %s, the hosts file in Postfix's chroot, does not have localhost. If the resolver does not either, mail to every domain is deferred", t.Text, hosts)}
}
