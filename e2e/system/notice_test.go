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

// notices is where systemd-nspawn tells how the machine is getting on, as
// sd_notify(3) says.
type notices struct {
	path  string
	told  chan string
	heard chan struct{} // closed when nobody waits for more
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

// await returns the number of the machine's first process once the machine has
// started all it has to start. off ends the waiting.
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
			return leader, errors.New("it has gone off")
		case <-tooLong:
			return leader, fmt.Errorf("not in %v", patience)
		}
	}
	return leader, nil
}
