package e2e

import (
	"net"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// limitFaults take resources of the machine away from the program.
func limitFaults() []fault {
	return []fault{
		{
			name: "32 descriptors and 200 clients that never write",
			strike: func(t *testing.T, s *scene) func() {
				pid := s.pid()
				var usual unix.Rlimit
				if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &usual); err != nil {
					t.Fatal(err)
				}
				few := unix.Rlimit{Cur: 32, Max: usual.Max}
				if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &few, nil); err != nil {
					t.Fatal(err)
				}
				closeAll := openMany(t, s, 200, func(*net.TCPConn) {})
				return func() {
					closeAll()
					if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &usual, nil); err != nil {
						s.blame(t, "giving descriptors back: %v", err)
					}
				}
			},
		},
		{
			name:   "GOMEMLIMIT=8MiB and 1000 clients that pipeline",
			env:    []string{"GOMEMLIMIT=8MiB"},
			strike: pipeline,
		},
		{
			name: "64 MiB in a control group and 1000 clients that pipeline",
			strike: func(t *testing.T, s *scene) func() {
				lift := limitMemory(t, s, groupMemory)
				closeAll := pipeline(t, s)
				return func() {
					closeAll()
					lift()
				}
			},
		},
	}
}

// pipeline has many clients ask much at once.
func pipeline(t *testing.T, s *scene) (closeAll func()) {
	t.Helper()
	return openMany(t, s, 1000, func(conn *net.TCPConn) {
		conn.Write([]byte(strings.Repeat(s.request(s.known[0])+s.request(s.known[knownDomains-1]), 20)))
	})
}
