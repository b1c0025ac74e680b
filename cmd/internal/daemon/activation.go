package daemon

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/coreos/go-systemd/v22/activation"

	"mta-sts-daemon/resolver/printable"
)

// The names of systemd's sockets for each purpose (FileDescriptorName= in
// systemd.socket(5)).
const (
	socketmapName = "socketmap"
	tcpTableName  = "tcptable"
	adminName     = "admin"
	metricsName   = "metrics"
)

// passed are the listeners that systemd holds for the daemon, by name. They
// take the place of the addresses in the configuration.
type passed map[string][]net.Listener

// takePassed takes over the sockets that systemd passed to this process. It can
// be called once.
func takePassed() (passed, error) {
	p := passed{}
	for _, file := range activation.Files(true) {
		defer file.Close()
		name := file.Name()
		if !slices.Contains([]string{socketmapName, tcpTableName, adminName, metricsName}, name) {
			p.close()
			return nil, fmt.Errorf("systemd passed a socket with the name %s: in its unit, FileDescriptorName= must be one of %s",
				printable.Quote(name), strings.Join([]string{socketmapName, tcpTableName, adminName, metricsName}, ", "))
		}
		l, err := net.FileListener(file)
		if err != nil {
			p.close()
			return nil, fmt.Errorf("the socket %q that systemd passed takes no connections, its unit must say ListenStream=: %w", name, err)
		}
		p[name] = append(p[name], newPassedSocket(l))
	}
	return p, nil
}

func (p passed) close() {
	for _, listeners := range p {
		for _, l := range listeners {
			l.Close()
		}
	}
}
