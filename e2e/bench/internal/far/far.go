// Package far makes a network whose hosts are some way off, on one machine and
// without the kernel's netem: each packet is held for a while in this process.
//
// Its interface is a TUN device, and every address of its networks except the
// first one is a far host. A packet to such a host comes back, after the delay,
// with its addresses exchanged: as a packet of that host to this one. So a server
// on this host answers for all far hosts, and the answers go the same way back.
// The checksums of IP, TCP and UDP do not depend on the order of the addresses.
package far

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The networks that far hosts are in. IPv6 is of those that programs prefer to IPv4.
const (
	NetworkIPv4 = "10.84.61.0/24"
	NetworkIPv6 = "2001:db8:8461::/64"
)

// Far hosts.
const (
	HostIPv4 = "10.84.61.2"
	HostIPv6 = "2001:db8:8461::2"
	// Silent takes packets and answers none.
	Silent = "2001:db8:8461::5"
)

// Addresses of this host in those networks.
const (
	ownIPv4 = "10.84.61.1"
	ownIPv6 = "2001:db8:8461::1"
)

const (
	device = "/dev/net/tun"
	name   = "far"
	// maxPacket is more than the device's MTU.
	maxPacket = 2048
	// maxUnderWay is how many packets are on the way one way at most.
	maxUnderWay = 4096
)

// Network relays packets.
type Network struct {
	device *os.File
	oneWay time.Duration
}

// New makes the network in the network namespace of this thread. A packet is on
// the way for that long.
func New(oneWay time.Duration) (*Network, error) {
	fd, err := unix.Open(device, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", device, err)
	}
	n := &Network{os.NewFile(uintptr(fd), device), oneWay}
	if err := setUp(fd); err != nil {
		n.device.Close()
		return nil, fmt.Errorf("making a TUN device: %w", err)
	}
	return n, nil
}

// Run relays packets until the device fails.
func (n *Network) Run() error { return relay(n.device, n.oneWay) }

// setUp makes an interface of the device and gives it its addresses.
func setUp(device int) error {
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(device, unix.TUNSETIFF, ifr); err != nil {
		return fmt.Errorf("TUNSETIFF: %w", err)
	}
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(socket)
	ip := netip.MustParseAddr(ownIPv4).As4()
	mask := [4]byte{255, 255, 255, 0} // of NetworkIPv4
	if err := setIPv4(socket, ifr, unix.SIOCSIFADDR, ip); err != nil {
		return err
	}
	if err := setIPv4(socket, ifr, unix.SIOCSIFNETMASK, mask); err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, ifr); err != nil {
		return fmt.Errorf("SIOCSIFFLAGS: %w", err)
	}
	if err := unix.IoctlIfreq(socket, unix.SIOCGIFINDEX, ifr); err != nil {
		return fmt.Errorf("SIOCGIFINDEX: %w", err)
	}
	return setIPv6(ifr.Uint32())
}

func setIPv4(socket int, ifr *unix.Ifreq, request uint, value [4]byte) error {
	if err := ifr.SetInet4Addr(value[:]); err != nil {
		return err
	}
	if err := unix.IoctlIfreq(socket, request, ifr); err != nil {
		return fmt.Errorf("an IPv4 address: %w", err)
	}
	return nil
}

// setIPv6 gives the interface its IPv6 address. Without link-layer addresses,
// the kernel looks for no duplicate of it first.
func setIPv6(index uint32) error {
	socket, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(socket)
	request := struct { // in6_ifreq of netdevice(7)
		addr   [16]byte
		prefix uint32
		index  uint32
	}{netip.MustParseAddr(ownIPv6).As16(), 64, index}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(socket), unix.SIOCSIFADDR, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		return fmt.Errorf("an IPv6 address: %w", errno)
	}
	return nil
}

// underWay is a packet that arrives at a time.
type underWay struct {
	arrives time.Time
	packet  []byte
}

// relay returns each packet read from device, as long as that can be read.
func relay(device io.ReadWriter, oneWay time.Duration) error {
	packets := make(chan underWay, maxUnderWay)
	failed := make(chan error, 1)
	go func() {
		for p := range packets {
			time.Sleep(time.Until(p.arrives))
			if _, err := device.Write(p.packet); err != nil {
				failed <- fmt.Errorf("writing a packet: %w", err)
				return
			}
		}
	}()
	defer close(packets)
	buf := make([]byte, maxPacket)
	for {
		n, err := device.Read(buf)
		if err != nil {
			return fmt.Errorf("reading a packet: %w", err)
		}
		packet := slices.Clone(buf[:n])
		if !turn(packet) {
			continue
		}
		select {
		case packets <- underWay{time.Now().Add(oneWay), packet}:
		case err := <-failed:
			return err
		default: // as a full link loses it
		}
	}
}

// Positions of the addresses in a packet: RFC 791 section 3.1, RFC 8200 section 3.
const (
	sourceIPv4, endIPv4 = 12, 20
	sourceIPv6, endIPv6 = 8, 40
)

// turn exchanges the packet's addresses. It returns false for a packet to nobody
// who answers.
func turn(packet []byte) bool {
	var addresses []byte
	switch {
	case len(packet) >= endIPv4 && packet[0]>>4 == 4:
		addresses = packet[sourceIPv4:endIPv4]
	case len(packet) >= endIPv6 && packet[0]>>4 == 6:
		addresses = packet[sourceIPv6:endIPv6]
	default:
		return false
	}
	source, destination := addresses[:len(addresses)/2], addresses[len(addresses)/2:]
	to, _ := netip.AddrFromSlice(destination)
	if to.IsMulticast() || to == netip.MustParseAddr(Silent) {
		return false
	}
	from := slices.Clone(source)
	copy(source, destination)
	copy(destination, from)
	return true
}
