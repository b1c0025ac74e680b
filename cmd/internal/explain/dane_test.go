package explain

import (
	"testing"

	"mta-sts-daemon/resolver/resolvertest"
)

// Each case has its expected output in testdata/dane-TITLE.txt.
func TestLookDANE(t *testing.T) {
	t.Parallel()
	const (
		usable   = " 300 IN TLSA 3 1 1 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
		unusable = " 300 IN TLSA 1 1 1 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	)
	for _, tt := range []struct {
		title, key string
		world      func(*world)
	}{
		{"full", "a.test", func(w *world) { w.dns.Add("_25._tcp.mx.a.test." + usable) }},
		{"partial", "a.test", func(w *world) {
			w.dns.Add("_25._tcp.mx.a.test."+usable, "a.test. 300 IN MX 20 mx2.a.test.", "mx2.a.test. 300 IN A 192.0.2.26")
		}},
		{"partial-without-policy", "b.test", func(w *world) {
			w.dns.Add("b.test. 300 IN MX 10 mx.a.test.", "b.test. 300 IN MX 20 mx2.a.test.", "mx2.a.test. 300 IN A 192.0.2.26",
				"_25._tcp.mx.a.test."+usable)
		}},
		{"unusable", "a.test", func(w *world) { w.dns.Add("_25._tcp.mx.a.test." + unusable) }},
		{"unknown", "a.test", func(w *world) { w.dns.Misbehave("_25._tcp.mx.a.test", resolvertest.DNSRcode(2)) }},
		{"mxfails", "a.test", func(w *world) { w.dns.Misbehave("a.test", resolvertest.DNSRcode(2)) }},
		{"unsigned", "a.test", func(w *world) {
			w.dns.Add("_25._tcp.mx.a.test." + usable)
			w.dns.Unsigned("a.test")
		}},
	} {
		t.Run(tt.title, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.dns.SetAuthenticated(true)
			w.publish("a.test", resolvertest.HostPolicy(enforce("a.test")+"mx: mx2.a.test\n"))
			tt.world(w)
			_, text := w.look(t, tt.key, Options{})
			golden(t, "dane-"+tt.title+".txt", text)
		})
	}
}
