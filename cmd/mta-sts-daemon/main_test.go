package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"mta-sts-daemon/cmd/internal/clients"
	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/resolvertest"
	"mta-sts-daemon/resolver/store"
	"mta-sts-daemon/socketmap"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"mta-sts-daemon": main,
		"lookup":         lookup,
		"waitfor":        waitFor,
		"systemd":        systemd,
		"terminal":       terminal,
		"typing":         typing,
	})
}

// The program as a person meets it. dns.yaml is a configuration whose DNS server
// knows no domains but these.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"expand": expand,
			"exits":  exits,
			"signal": sendSignal,
			"stale":  leaveStale,
			"seed":   seed,
		},
		Condition: func(string) (bool, error) { // [installed]: a daemon of this host answers at an address of the socket unit
			c, err := net.Dial("tcp", clients.ShippedSockets()[0].Address)
			if err == nil {
				c.Close()
			}
			return err == nil, nil
		},
		Setup: func(env *testscript.Env) error {
			dns := resolvertest.StartDNS(t)
			dns.Add(
				`_mta-sts.broken.test. 300 IN TXT "v=STSv1; id=a-b;"`,
				`_mta-sts.unreachable.test. 300 IN TXT "v=STSv1; id=1;"`,
				`mta-sts.unreachable.test. 300 IN A 127.0.0.1`,
				`_smtp._tls.broken.test. 300 IN TXT "v=TLSRPTv1; rua=mailto:tls@broken.test"`,
				`null.test. 300 IN MX 0 .`,
				`nothing.test. 300 IN MX 10 mx.nothing.test.`,
				`mx.nothing.test. 300 IN A 192.0.2.1`,
				`broken.test. 300 IN MX 10 mx.nothing.test.`,
				`unreachable.test. 300 IN MX 10 mx.unreachable.test.`,
				`mx.unreachable.test. 300 IN A 192.0.2.1`,
				`servfail.test. 300 IN A 192.0.2.1`,
				`deferred.test. 300 IN MX 10 mx.deferred.test.`,
				`mx.deferred.test. 300 IN A 192.0.2.1`,
				`dane.test. 300 IN MX 10 mx.dane.test.`,
				`mx.dane.test. 300 IN A 192.0.2.1`,
				`_25._tcp.mx.dane.test. 300 IN TLSA 3 1 1 `+strings.Repeat("a5", 32),
			)
			dns.Misbehave("_25._tcp.mx.deferred.test", resolvertest.DNSRcode(2))
			dns.SetAuthenticated(true)
			env.Setenv("DNS", dns.Addr().String())
			env.Setenv("GORACE", "atexit_sleep_ms=0") // or each command takes a second
			env.Setenv("XDG_STATE_HOME", filepath.Join(env.WorkDir, "state"))
			// Commands look here alone, not in /run, where a daemon of this host may be.
			runtime := filepath.Join(env.WorkDir, "run", "mta-sts-daemon")
			if err := os.MkdirAll(runtime, 0o700); err != nil {
				return err
			}
			env.Setenv("RUNTIME_DIRECTORY", runtime)
			dns.Misbehave("_mta-sts.servfail.test", resolvertest.DNSRcode(2))
			return os.WriteFile(filepath.Join(env.WorkDir, "dns.yaml"),
				fmt.Appendf(nil, "dns: {servers: [\"%v\"]}\n", dns.Addr()), 0o600)
		},
	})
}

// expand FILE puts the script's environment in place of $NAME in the file.
func expand(ts *testscript.TestScript, neg bool, args []string) {
	text := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

// exits STATUS COMMAND… runs the command and holds its exit status to be that.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	status := 0
	err := ts.Exec(args[1], args[2:]...)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		status = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(status) != args[0] {
		ts.Fatalf("exit status %d, want %s", status, args[0])
	}
}

// sendSignal NAME reaches the daemon in the background.
func sendSignal(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]os.Signal{"HUP": syscall.SIGHUP, "STOP": syscall.SIGSTOP, "CONT": syscall.SIGCONT, "INT": syscall.SIGINT, "TERM": syscall.SIGTERM}
	for _, cmd := range ts.BackgroundCmds() {
		ts.Check(cmd.Process.Signal(signals[args[0]]))
		if args[0] == "STOP" { // or a script that fails would wait for it without end
			time.AfterFunc(2*scriptTimeout, func() { cmd.Process.Signal(syscall.SIGCONT) })
		}
	}
}

// leaveStale PATH leaves a socket behind as a killed daemon does.
func leaveStale(ts *testscript.TestScript, neg bool, args []string) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: ts.MkAbs(args[0])})
	ts.Check(err)
	l.SetUnlinkOnClose(false)
	ts.Check(l.Close())
}

// seed FILE DOMAIN… makes a policy file in which each domain has a policy of mode
// enforce. DOMAIN*N has N patterns of MX hosts.
func seed(ts *testscript.TestScript, neg bool, args []string) {
	clk := clock.System()
	st, err := store.Open(ts.MkAbs(args[0]), clk, slog.New(slog.DiscardHandler))
	ts.Check(err)
	for _, arg := range args[1:] {
		name, number, _ := strings.Cut(arg, "*")
		d, err := mtasts.ParseDomain(name)
		ts.Check(err)
		patterns := "mx: mx." + name + "\n"
		if number != "" {
			n, err := strconv.Atoi(number)
			ts.Check(err)
			for i := range n - 1 {
				patterns += fmt.Sprintf("mx: mx%d.%s\n", i, name)
			}
		}
		p, err := mtasts.ParsePolicy("version: STSv1\nmode: enforce\n" + patterns + "max_age: 864000\n")
		ts.Check(err)
		now := clk.Now()
		st.Put(store.Entry{Domain: d, ID: "1", Policy: p, Fetched: store.Fetched{Wall: time.Now(), At: now, ThisBoot: true}, Recheck: now.Add(time.Hour), Used: now, Next: now.Add(time.Hour)})
	}
	ts.Check(st.Close())
}

// scriptTimeout is how long a script waits for what must come.
const scriptTimeout = 20 * time.Second

// lookup SOCKET MAP KEY asks a running daemon, once it is up, and prints the
// reply.
func lookup() {
	ctx, cancel := context.WithTimeout(context.Background(), scriptTimeout)
	defer cancel()
	until(ctx, func() error {
		c, err := socketmap.Dial(ctx, "unix", os.Args[1])
		if err != nil {
			return err
		}
		defer c.Close()
		reply, err := c.Lookup(ctx, os.Args[2], os.Args[3])
		if err == nil {
			fmt.Printf("%v %s\n", reply.Status, reply.Data)
		}
		return err
	})
}

// waitfor FILE TEXT returns once the file has the text.
func waitFor() {
	ctx, cancel := context.WithTimeout(context.Background(), scriptTimeout)
	defer cancel()
	until(ctx, func() error {
		text, err := os.ReadFile(os.Args[1])
		if err == nil && !strings.Contains(string(text), os.Args[2]) {
			err = fmt.Errorf("%s does not say %q but:\n%s", os.Args[1], os.Args[2], text)
		}
		return err
	})
}

// until repeats try until it succeeds; when ctx ends first the script fails.
func until(ctx context.Context, try func() error) {
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		case <-time.After(10 * time.Millisecond):
		}
	}
}
