package far

import (
	"io"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// packetTo is the header of a packet of this host to a far one.
func packetTo(to string) []byte {
	destination := netip.MustParseAddr(to)
	if destination.Is4() {
		own := netip.MustParseAddr(ownIPv4)
		return slices.Concat([]byte{4 << 4, endIPv4 - 1: 0}[:sourceIPv4], own.AsSlice(), destination.AsSlice())
	}
	own := netip.MustParseAddr(ownIPv6)
	return slices.Concat([]byte{6 << 4, endIPv6 - 1: 0}[:sourceIPv6], own.AsSlice(), destination.AsSlice())
}

// link is a device: tests write packets to in, and those that the relay writes come
// out of out.
type link struct {
	in  chan []byte
	out chan []byte
}

func (l link) Read(p []byte) (int, error) {
	packet, ok := <-l.in
	if !ok {
		return 0, io.EOF
	}
	return copy(p, packet), nil
}

func (l link) Write(p []byte) (int, error) {
	l.out <- p
	return len(p), nil
}

func TestRelay(t *testing.T) {
	t.Parallel()
	const oneWay = 10 * time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		l := link{make(chan []byte), make(chan []byte)}
		ended := make(chan error)
		go func() { ended <- relay(l, oneWay) }()
		sent := time.Now()
		for _, to := range []string{HostIPv4, "ff02::2", Silent, HostIPv6} {
			l.in <- packetTo(to)
		}
		l.in <- []byte{4 << 4} // not a whole header
		for _, from := range []string{HostIPv4, HostIPv6} {
			back := <-l.out
			if took := time.Since(sent); took != oneWay {
				t.Errorf("from %s: after %v, want %v", from, took, oneWay)
			}
			want := packetTo(from)
			if turn(want); !slices.Equal(back, want) {
				t.Errorf("from %s: got %x, want %x", from, back, want)
			}
		}
		close(l.in)
		if err := <-ended; err == nil {
			t.Error("no error at the end")
		}
	})
}

func TestTurn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ own, far string }{{ownIPv4, HostIPv4}, {ownIPv6, HostIPv6}} {
		packet := packetTo(c.far)
		if !turn(packet) {
			t.Errorf("%s does not answer", c.far)
		}
		own, far := netip.MustParseAddr(c.own).AsSlice(), netip.MustParseAddr(c.far).AsSlice()
		if at := len(packet) - 2*len(own); !slices.Equal(packet[at:], slices.Concat(far, own)) {
			t.Errorf("from %s: %x", c.far, packet)
		}
	}
}
