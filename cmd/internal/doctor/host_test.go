package doctor

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mta-sts-daemon/cmd/internal/admin"
	"mta-sts-daemon/cmd/internal/postconf"
	"mta-sts-daemon/config"
	"mta-sts-daemon/resolver/dnsclient"
	"mta-sts-daemon/resolver/resolvertest"
	"mta-sts-daemon/socketmap"
)

// bed is a host without a fault, until a test changes that.
type bed struct {
	Host
	dir  string // has main.cf, the queue directory and CA files
	main map[string]string
	// masterCF and overrides are what postconf -F and -P print.
	masterCF, overrides string
	dns                 *resolvertest.DNS
}

const wellMasterCF = `proxymap/unix/chroot = -
proxymap/unix/command = proxymap
relay/unix/chroot = y
relay/unix/command = smtp -o syslog_name=postfix/relay
smtp/inet/chroot = y
smtp/inet/command = smtpd
smtp/unix/chroot = y
smtp/unix/command = smtp
`

// daemon holds the replies of the running daemon.
type daemon struct {
	status admin.Status
	listed []admin.Listed
	err    error
}

func (d daemon) Status(context.Context) (admin.Status, error) { return d.status, d.err }

func (d daemon) Policies(_ context.Context, each func(admin.Listed) error) error {
	for _, l := range d.listed {
		if err := each(l); err != nil {
			return err
		}
	}
	return d.err
}

func newBed(t *testing.T) *bed {
	t.Helper()
	b := &bed{dir: t.TempDir(), masterCF: wellMasterCF, overrides: "relay/unix/syslog_name = postfix/relay\n"}
	b.write(t, "ca.pem", string(resolvertest.NewCA(t).PEM()))
	b.write(t, "queue/etc/hosts", "127.0.0.1 localhost\n")
	if err := os.Chmod(filepath.Join(b.dir, "queue"), 0o755); err != nil { // whatever the umask is
		t.Fatal(err)
	}
	b.main = map[string]string{
		mailVersion:              "3.7.11",
		compatibilityLevel:       "3.6",
		queueDirectory:           filepath.Join(b.dir, "queue"),
		mailOwner:                "root", // who runs the tests may have no account
		relayhost:                "",
		policyMaps:               "socketmap:inet:" + listen(t, "tcp", "127.0.0.1:0") + ":postfix",
		securityLevel:            levelMay,
		useTLS:                   "no",
		enforceTLS:               "no",
		caFile:                   filepath.Join(b.dir, "ca.pem"),
		caPath:                   "",
		connectionReuse:          "no",
		"ignore_mx_lookup_error": "no",
		dnsSupportLevel:          "",
		logLevel:                 "1",
		protocols:                ">=TLSv1",
		mandatoryProtocols:       ">=TLSv1",
	}
	b.dns = resolvertest.StartDNS(t)
	b.dns.Add(". 300 IN SOA ns. hostmaster. 1 3600 600 86400 60")
	b.Config = config.Default()
	b.Config.DNS.Servers = []config.Server{{Host: b.dns.Addr().Addr().String(), Port: b.dns.Addr().Port()}}
	b.Config.Listen.Socketmap = []config.Address{b.asked()}
	b.Config.Fetch.CAFile = b.main[caFile] // to read all of the system's takes a tenth of a second
	b.PostfixDNS = dnsclient.Options{Servers: []netip.AddrPort{b.dns.Addr()}}
	b.Daemon = daemon{status: admin.Status{Version: "1", Policies: 3}}
	return b
}

// asked is the server of the first table.
func (b *bed) asked() config.Address { return postconf.ParseTables(b.main[policyMaps])[0].Server }

// write puts a file below the bed's directory.
func (b *bed) write(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(b.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// examine installs a postconf that prints the bed's settings, and examines the
// host.
func (b *bed) examine(t *testing.T) Report {
	t.Helper()
	var mainCF strings.Builder
	for name, value := range b.main {
		fmt.Fprintf(&mainCF, "%s = %s\n", name, value)
	}
	b.write(t, "main.cf", mainCF.String())
	b.write(t, "masterCF", b.masterCF)
	b.write(t, "overrides", b.overrides)
	b.Postfix = postconf.Command{Path: b.program(t, "postconf", `
case "$*" in
-F*) cat masterCF ;;
"-x -P") cat overrides ;;
"-x config_directory") echo "config_directory = $PWD" ;;
*) shift; IFS="|"; grep -E "^($*) = " main.cf; exit 0 ;;
esac`)}
	return Examine(t.Context(), b.Host)
}

// program writes a shell script that runs in the bed's directory.
func (b *bed) program(t *testing.T, name, script string) string {
	t.Helper()
	path := filepath.Join(b.dir, name)
	// Between the write and the exec, another test's fork may hold the file open
	// for writing (ETXTBSY); the lock of forks keeps it out.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(path, []byte("#!/bin/sh\ncd "+b.dir+"\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// nothing finds no key, except in the map "everything".
type nothing struct{}

func (nothing) Answer(dst []byte, req *socketmap.Request) (socketmap.Reply, bool) {
	if req.Map == "everything" {
		return socketmap.Reply{Status: socketmap.OK, Data: append(dst, "may"...)}, true
	}
	return socketmap.Reply{Status: socketmap.NotFound}, true
}

func (nothing) Wait(context.Context, []byte, *socketmap.Request) socketmap.Reply {
	panic("every lookup is answered at once")
}

// listen starts a server of empty socketmaps, and returns its address.
func listen(t *testing.T, network, address string) string {
	t.Helper()
	return serve(t, socketmap.Netstrings(), network, address)
}

func serve(t *testing.T, p socketmap.Protocol, network, address string) string {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	server := socketmap.NewServer(p, nothing{}, socketmap.NewConnections(10), time.Minute, slog.New(slog.DiscardHandler))
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		if err := server.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// unused is an address where nobody listens.
func unused(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	return l.Addr().String()
}
