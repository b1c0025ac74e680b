package dnsclient_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"mta-sts-daemon/resolver/dnsclient"
	"mta-sts-daemon/resolver/resolvertest"
)

// TestAnswersAreTheirOwn: nothing of an answer is in the room for packets, which
// the next question uses again.
func TestAnswersAreTheirOwn(t *testing.T) {
	t.Parallel()
	server := resolvertest.StartDNS(t)
	names := []string{"a.test", "b.test", "c.test", "d.test"}
	for i, name := range names {
		server.Add(
			fmt.Sprintf(`%s. 300 IN TXT "text of %s"`, name, name),
			fmt.Sprintf(`%s. 300 IN MX 10 mx.%s.`, name, name),
			fmt.Sprintf(`%s. 300 IN A 192.0.2.%d`, name, i),
			fmt.Sprintf(`%s. 300 IN AAAA 2001:db8::%d`, name, i),
			fmt.Sprintf(`%s. 300 IN TLSA 3 1 1 0%d`, name, i),
		)
	}
	client := newClient(server)
	var texts []string
	var hosts []dnsclient.MX
	var addrs []netip.Addr
	var tlsa []dnsclient.TLSA
	for _, name := range names {
		txt, err1 := client.TXT(t.Context(), name)
		mx, err2 := client.MX(t.Context(), name)
		addr, err3 := client.Addresses(t.Context(), name)
		cert, err4 := client.TLSA(t.Context(), name)
		if err := [...]error{err1, err2, err3, err4}; err != [4]error{} {
			t.Fatal(err)
		}
		texts, hosts = append(texts, txt.Records...), append(hosts, mx.Records...)
		addrs, tlsa = append(addrs, addr.Records...), append(tlsa, cert.Records...)
	}
	for i, name := range names {
		v4, v6 := netip.MustParseAddr(fmt.Sprintf("192.0.2.%d", i)), netip.MustParseAddr(fmt.Sprintf("2001:db8::%d", i))
		if texts[i] != "text of "+name || hosts[i].Host != "mx."+name ||
			!slices.Equal(addrs[2*i:2*i+2], []netip.Addr{v4, v6}) || !slices.Equal(tlsa[i].Data, []byte{byte(i)}) {
			t.Errorf("%s: %q, %v, %v, %v", name, texts[i], hosts[i], addrs[2*i:2*i+2], tlsa[i])
		}
	}
}
