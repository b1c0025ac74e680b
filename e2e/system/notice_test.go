package system

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// notices receives the state of the machine from systemd-nspawn, see sd_notify(3).
type notices struct {
	path  string
	told  chan string
	heard chan struct{} // closed when no more notices are awaited
}

func listenForNotice(t *testing.T) *notices {
	t.Helper()
	n := &notices{path: filepath.Join(t.TempDir(), "notify"), told: make(chan string), heard: make(chan struct{})}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: n.path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 4096)
		for {
			size, err := conn.Read(buf)
			if err != nil {
				return // the test is over
			}
			select {
			case n.told <- string(buf[:size]):
			case <-n.heard: // read on: systemd-nspawn waits for the reader of its socket
			case <-t.Context().Done():
				return
			}
		}
	}()
	return n
}

// await returns the process id of the machine's first process when all units are started. It
// returns an error when off is closed.
func (n *notices) await(off <-chan struct{}) (leader int, err error) {
	defer close(n.heard)
	tooLong := time.After(patience)
	ready := false
	for !ready || leader == 0 {
		select {
		case notice := <-n.told:
			for line := range strings.Lines(notice) {
				key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
				switch key {
				case "X_NSPAWN_LEADER_PID":
					if leader, err = strconv.Atoi(value); err != nil {
						return 0, err
					}
				case "READY":
					ready = true
				}
			}
		case <-off:
			return leader, errors.New("it is off")
		case <-tooLong:
			return leader, fmt.Errorf("timeout after %v", patience)
		}
	}
	return leader, nil
}
