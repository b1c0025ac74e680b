package tlsrpt

import (
	"errors"
	"net"
	"syscall"
)

// result is what became of a datagram.
type result string

// The values of the metric's label.
const (
	sent        result = "sent"
	unreachable result = "unreachable" // nobody reads from the socket, or it may not be used
	full        result = "full"        // the collector does not read fast enough
	dropped     result = "dropped"     // too many failures waited in this process
	unanswered  result = "dns_error"   // the DNS could not say whether the domain wants reports
)

var results = []result{sent, unreachable, full, dropped, unanswered}

// send writes one datagram to the socket at path. It never waits: if the collector's
// queue is full, that is an error. It connects each time, because that costs
// microseconds and finds a collector that has made its socket again.
func send(path string, datagram []byte) (result, error) {
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return judge(err), err
	}
	defer conn.Close()
	raw, err := conn.SyscallConn()
	if err != nil {
		return unreachable, err
	}
	var failed error
	err = raw.Write(func(fd uintptr) (done bool) {
		_, failed = syscall.Write(int(fd), datagram)
		return true // once is enough: Write of conn would wait for room
	})
	err = errors.Join(err, failed)
	return judge(err), err
}

// judge returns the result of a connect or a write.
func judge(err error) result {
	switch {
	case err == nil:
		return sent
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.ENOBUFS):
		return full
	}
	return unreachable
}
