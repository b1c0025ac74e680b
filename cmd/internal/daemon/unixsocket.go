package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"mta-sts-daemon/config"
)

// ownSocket listens on a unix socket whose file this daemon has made. If the file was
// removed or replaced, check listens at the path again.
type ownSocket struct {
	path   string
	access config.Listen

	mu       sync.Mutex // guards what follows
	listener *net.UnixListener
	file     fs.FileInfo // of the file at path; no other gets its inode while listener is open
	closed   bool
}

func listenUnix(path string, access config.Listen) (*ownSocket, error) {
	s := &ownSocket{path: path, access: access}
	return s, s.bind()
}

// bind listens at the path. mu is held, or s is new.
func (s *ownSocket) bind() error {
	address := &net.UnixAddr{Name: s.path, Net: config.Unix}
	l, err := net.ListenUnix(config.Unix, address)
	if errors.Is(err, syscall.EADDRINUSE) {
		if err := removeStale(s.path); err != nil {
			return err
		}
		l, err = net.ListenUnix(config.Unix, address)
	}
	if err != nil {
		return err
	}
	l.SetUnlinkOnClose(false) // by then the path may be another program's
	file, err := os.Lstat(s.path)
	if err == nil {
		err = setAccess(s.path, s.access)
	}
	if err != nil {
		l.Close()
		return errors.Join(err, os.Remove(s.path))
	}
	s.listener, s.file = l, file
	return nil
}

// check implements watched.
func (s *ownSocket) check() (restored bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	there, err := os.Lstat(s.path)
	if s.closed || err == nil && os.SameFile(there, s.file) || errors.Is(err, fs.ErrPermission) {
		return false, nil
	}
	old := s.listener
	if err := s.bind(); err != nil {
		return false, fmt.Errorf("its file was removed and cannot be made again: %w", err)
	}
	old.Close() // Accept goes on with the new one
	return true, nil
}

// Accept implements net.Listener.
func (s *ownSocket) Accept() (net.Conn, error) {
	for {
		l := s.current()
		nc, err := l.Accept()
		if err == nil || l == s.current() {
			return nc, err
		}
	}
}

func (s *ownSocket) current() *net.UnixListener {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listener
}

// Addr implements net.Listener.
func (s *ownSocket) Addr() net.Addr { return s.current().Addr() }

// Close implements net.Listener. It removes the file, unless another program has
// replaced it.
func (s *ownSocket) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if there, err := os.Lstat(s.path); !s.closed && err == nil && os.SameFile(there, s.file) {
		os.Remove(s.path)
	}
	s.closed = true
	return s.listener.Close()
}

// removeStale removes a socket that a daemon has left behind. It returns an error if a
// program listens on the socket, or if the file is not a socket.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is there and is not a socket: remove it or name another path", path)
	}
	c, err := net.Dial(config.Unix, path)
	if err == nil {
		c.Close()
		return fmt.Errorf("%s is in use by another program: stop that or name another path", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return err
	}
	return os.Remove(path)
}

// passedSocket is a listener that systemd has passed. Only systemd can make the
// file of a unix socket again.
type passedSocket struct {
	net.Listener
	path string      // empty if this process cannot see the file
	file fs.FileInfo // nil if it was missing at the start
}

func newPassedSocket(l net.Listener) *passedSocket {
	s := &passedSocket{Listener: l}
	path := l.Addr().String()
	if l.Addr().Network() != config.Unix || !filepath.IsAbs(path) {
		return s
	}
	// A daemon in a container may see none of the host's directories.
	if _, err := os.Stat(filepath.Dir(path)); err == nil {
		s.path = path
		s.file, _ = os.Lstat(path)
	}
	return s
}

var errPassedSocketGone = errors.New("its file was removed, and only systemd can make it again")

// check implements watched.
func (s *passedSocket) check() (restored bool, err error) {
	if s.path == "" {
		return false, nil
	}
	there, err := os.Lstat(s.path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && s.file != nil && !os.SameFile(there, s.file) {
		return false, errPassedSocketGone
	}
	return false, nil
}
