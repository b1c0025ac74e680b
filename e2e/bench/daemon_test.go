package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"mta-sts-daemon/e2e/bench/internal/bed"
	"mta-sts-daemon/e2e/bench/internal/proc"
	"mta-sts-daemon/socketmap"
)

// bench is the built daemon and its files.
type bench struct {
	program, config, socket, metrics string
}

// programEnv names another build of the daemon with the same file format.
const programEnv = "BENCH_DAEMON"

// newBench builds the daemon and writes its configuration: defaults and the
// addresses of its peers.
func newBench(b *testing.B, policyFile string) bench {
	b.Helper()
	dir := b.TempDir()
	d := bench{
		program: filepath.Join(dir, "mta-sts-daemon"),
		config:  filepath.Join(dir, "config.yaml"),
		socket:  filepath.Join(dir, "socket"),
		metrics: filepath.Join(dir, "metrics"),
	}
	if program := os.Getenv(programEnv); program != "" {
		d.program = program
	} else {
		build := exec.Command("go", "build", "-o", d.program, "./cmd/mta-sts-daemon")
		build.Dir, build.Env = "../..", append(os.Environ(), "CGO_ENABLED=0") // another module
		if out, err := build.CombinedOutput(); err != nil {
			b.Fatalf("go build: %v\n%s", err, out)
		}
	}
	config := fmt.Sprintf("listen: {socketmap: [%q]}\ndns: {servers: [%q], dane: off}\ncache: {file: %q}\nmetrics: {listen: %q, page: true}\nadmin: {socket: %q}\n",
		"unix:"+d.socket, startDNS(b), policyFile, "unix:"+d.metrics, filepath.Join(dir, "admin.sock"))
	if err := os.WriteFile(d.config, []byte(config), 0o600); err != nil {
		b.Fatal(err)
	}
	return d
}

// start starts the daemon and returns when it listens.
func (d bench) start(b *testing.B) *exec.Cmd {
	b.Helper()
	cmd := exec.Command(d.program, "serve", "--config", d.config)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "Ready to answer lookups") {
			go show(lines)
			return cmd
		}
		fmt.Fprintln(os.Stderr, lines.Text())
	}
	b.Fatalf("the daemon does not start: %v", cmd.Wait())
	return nil
}

// show prints what should not be there.
func show(lines *bufio.Scanner) {
	for lines.Scan() {
		if !strings.Contains(lines.Text(), "level=INFO") && !allDue() { // refreshes fail: there is no policy host
			fmt.Fprintln(os.Stderr, lines.Text())
		}
	}
}

func stop(b *testing.B, cmd *exec.Cmd) {
	b.Helper()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		b.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		b.Errorf("the daemon ended with %v", err)
	}
}

// ask looks up the domains from one up to another over one connection. Each
// must have its policy.
func (d bench) ask(b *testing.B, from, to int) {
	b.Helper()
	ctx := context.Background()
	client, err := socketmap.Dial(ctx, "unix", d.socket)
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	for n := from; n < to; n++ {
		domain := bed.Domain(uint32(n))
		reply, err := client.Lookup(ctx, "postfix", domain)
		if err != nil {
			b.Fatal(err)
		}
		if got := string(reply.Data); got != bed.Answer(domain) {
			b.Fatalf("%s: got %q", domain, got)
		}
	}
}

// get asks the listener for monitoring and returns what it answers.
func (d bench) get(b *testing.B, path string) []byte {
	b.Helper()
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", d.metrics)
	}}}
	defer client.CloseIdleConnections()
	resp, err := client.Get("http://daemon" + path)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		b.Fatalf("%s: %s, %v", path, resp.Status, err)
	}
	return text
}

// anonymous is the memory that the process holds beside the files that it has
// mapped, in MB. It is 0 once the process has ended.
func anonymous(cmd *exec.Cmd) (megabytes float64) {
	octets, err := proc.Anonymous(cmd.Process.Pid)
	if err != nil {
		return 0
	}
	return float64(octets) / 1e6
}
