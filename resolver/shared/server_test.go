package shared

import (
	"context"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// debianRoots is the directory in which the end-to-end tests unpack Debian.
const debianRoots = "../../build/e2e/roots"

// programs are the servers that there are here, each as the beginning of a
// command. One from a root is run with that root's libraries.
var programs = sync.OnceValue(func() map[string][]string {
	found := map[string][]string{}
	for _, name := range []string{"redis-server", "valkey-server"} {
		if path, err := exec.LookPath(name); err == nil {
			found[name] = []string{path}
			continue
		}
		roots, _ := filepath.Abs(debianRoots)
		paths, _ := filepath.Glob(filepath.Join(roots, "*", "usr/bin", name))
		for _, path := range paths {
			root := filepath.Join(path, "../../..")
			loaders, _ := filepath.Glob(filepath.Join(root, "usr/lib/*/ld-linux-*.so.*"))
			old, _ := filepath.Glob(filepath.Join(root, "lib/*/ld-linux-*.so.*"))
			if loaders = append(loaders, old...); len(loaders) > 0 {
				libraries := filepath.Dir(loaders[0])
				usr := filepath.Join(root, "usr/lib", filepath.Base(libraries))
				found[name] = []string{loaders[0], "--library-path", libraries + ":" + usr, path}
			}
		}
	}
	if len(found) > 0 {
		os.Remove(leftOutFile)
	}
	return found
})

// eachServer runs a test with every server that there is here.
func eachServer(t *testing.T, test func(t *testing.T, program []string)) {
	t.Helper()
	if len(programs()) == 0 {
		leaveOut(t)
	}
	for name, program := range programs() {
		t.Run(name, func(t *testing.T) { test(t, program) })
	}
}

// anyServer is for tests that do not depend on the kind of server.
func anyServer(t *testing.T) []string {
	t.Helper()
	for _, program := range programs() {
		return program
	}
	leaveOut(t)
	return nil
}

// leftOutFile is what "make test" shows at its end, because "go test" shows
// nothing of a package that passes.
const leftOutFile = "../../build/e2e/left-out-shared"

func leaveOut(t *testing.T) {
	t.Helper()
	const what = "resolver/shared: LEFT OUT, all tests with a server: neither redis-server nor valkey-server is installed or unpacked below build/e2e\n"
	if err := os.MkdirAll(filepath.Dir(leftOutFile), 0o755); err == nil {
		os.WriteFile(leftOutFile, []byte(what), 0o644)
	}
	t.Skip(what)
}

// server is a server of its own for a test.
type server struct {
	port  string
	admin *redis.Client // as its operator

	program, args []string
	dir           string
	process       *exec.Cmd
}

// start starts a server on a port of 127.0.0.1.
func start(t *testing.T, program []string, args ...string) *server {
	t.Helper()
	s := &server{port: freePort(t), program: program, args: args, dir: t.TempDir()}
	s.admin = redis.NewClient(&redis.Options{Addr: s.addr(), DisableIdentity: true, MaxRetries: -1})
	t.Cleanup(func() { s.admin.Close() })
	t.Cleanup(s.kill)
	s.run(t)
	return s
}

// run starts the server, again perhaps, and waits until it answers.
func (s *server) run(t *testing.T) {
	t.Helper()
	args := append(s.program[1:len(s.program):len(s.program)], s.configured(t))
	process := exec.Command(s.program[0], append(args, s.args...)...)
	process.Dir = s.dir
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	s.process = process
	eventually(t, "the server answers", func() bool { return s.admin.Ping(t.Context()).Err() == nil })
}

// configured writes what all servers have in common into a file, because a
// sentinel wants one that it can change.
func (s *server) configured(t *testing.T) string {
	t.Helper()
	path := filepath.Join(s.dir, "server.conf")
	text := "bind 127.0.0.1\nsave \"\"\nappendonly no\nport " + s.port + "\nlogfile server.log\n"
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (s *server) kill() {
	if s.process != nil {
		s.process.Process.Kill()
		s.process.Wait()
		s.process = nil
	}
}

func (s *server) addr() string { return "127.0.0.1:" + s.port }

func (s *server) url() string { return "redis://" + s.addr() }

// do gives the server a command, as its operator.
func (s *server) do(t *testing.T, args ...any) any {
	t.Helper()
	reply, err := s.admin.Do(t.Context(), args...).Result()
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return reply
}

// busOffset is the distance of a cluster bus's port from the server's, in Redis and Valkey.
const busOffset = 10_000

// freePort returns a port on which nobody listens, and neither on the one of the cluster bus,
// busOffset above. Both are below the ports that the kernel gives to clients, so that no client takes
// one before the server starts.
func freePort(t *testing.T) string {
	t.Helper()
	for range 1000 {
		port := 10_000 + rand.IntN(12_000)
		if isFree(port) && isFree(port+busOffset) {
			return strconv.Itoa(port)
		}
	}
	t.Fatal("no free port")
	return ""
}

func isFree(port int) bool {
	l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		return false
	}
	l.Close()
	return true
}

// eventually waits until ok says so.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*longTimeout) // two failures cause a warning
	defer cancel()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("it did not happen that %s", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}
