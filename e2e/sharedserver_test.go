package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"mta-sts-daemon/e2e/internal/isolated"
)

// kvProgram is a server for the shared store, as Debian has it.
type kvProgram struct {
	suite suite
	path  string
}

func redisServer() kvProgram  { return kvProgram{bookworm, "/usr/bin/redis-server"} }
func valkeyServer() kvProgram { return kvProgram{trixie, "/usr/bin/valkey-server"} }

func kvPrograms() []kvProgram { return []kvProgram{redisServer(), valkeyServer()} }

func (p kvProgram) name() string { return strings.TrimSuffix(filepath.Base(p.path), "-server") }

// kvServer is one server, in a directory of its own below the root.
type kvServer struct {
	*process
	program kvProgram
	root    *root
	addr    string
	args    []string
	within  *cable        // the network it is in; nil for ours
	admin   *redis.Client // as its operator
}

// startKV starts a server at addr and returns when it answers. args are as on
// its command line.
func startKV(t *testing.T, p kvProgram, r *root, within *cable, addr string, args ...string) *kvServer {
	t.Helper()
	s := &kvServer{program: p, root: r, addr: addr, args: args, within: within}
	s.admin = redis.NewClient(&redis.Options{Addr: addr, DisableIdentity: true, MaxRetries: -1})
	t.Cleanup(func() { s.admin.Close() })
	host, port, _ := strings.Cut(addr, ":")
	r.write(t, s.dir()+"/server.conf", fmt.Sprintf("dir %s\nbind %s\nport %s\nprotected-mode no\nsave \"\"\n", s.dir(), host, port))
	s.start(t)
	return s
}

func (s *kvServer) dir() string { return "/srv/" + s.addr }

// start starts the server, again perhaps, with nothing in it.
func (s *kvServer) start(t *testing.T) {
	t.Helper()
	cmd := s.root.command(s.program.path, append([]string{s.dir() + "/server.conf"}, s.args...)...)
	if s.within == nil {
		s.process = startProcess(t, cmd)
	} else {
		s.within.do(t, func() { s.process = startProcess(t, cmd) })
	}
	s.awaitListening(t, s.addr)
	s.eventually(t, "the server answers", func() bool { return s.admin.Ping(t.Context()).Err() == nil })
}

func (s *kvServer) kill(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	s.awaitEnd(t)
}

func (s *kvServer) signal(t *testing.T, sig os.Signal) {
	t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// do gives the server a command, as its operator.
func (s *kvServer) do(t *testing.T, args ...any) any {
	t.Helper()
	reply, err := s.admin.Do(t.Context(), args...).Result()
	if err != nil {
		t.Fatalf("%s: %v: %v", s.addr, args, err)
	}
	return reply
}

// says reports whether the reply to a command has all the words.
func (s *kvServer) says(t *testing.T, words []string, args ...any) bool {
	reply := fmt.Sprint(s.admin.Do(t.Context(), args...).Val())
	for _, word := range words {
		if !strings.Contains(reply, word) {
			return false
		}
	}
	return true
}

func (s *kvServer) eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	isolated.Eventually(t, what, func() bool {
		select {
		case <-s.done:
			t.Fatalf("%s ended: %v", s.name, s.err)
		default:
		}
		return ok()
	})
}
