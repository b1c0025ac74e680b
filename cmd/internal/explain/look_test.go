package explain

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"mta-sts-daemon/cmd/internal/layout"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/resolvertest"
	"mta-sts-daemon/socketmap"
	"mta-sts-daemon/socketmap/tlspolicy"
)

// Each case has its expected output in testdata/TITLE.txt.
func TestLook(t *testing.T) {
	t.Parallel()
	const d = "a.test"
	served := func(text string) func(*world) {
		return func(w *world) { w.publish(d, resolvertest.HostPolicy(text)) }
	}
	behaves := func(b resolvertest.Behaviour) func(*world) {
		return func(w *world) { w.publish(d, b) }
	}
	override := map[mtasts.Domain]tlspolicy.Override{domain(t, d): {Reply: socketmap.Reply{Status: socketmap.OK, Data: []byte("encrypt")}}}
	for _, tt := range []struct {
		title   string
		key     string // a.test where empty
		world   func(*world)
		profile tlspolicy.Profile
		status  int
	}{
		{title: "good", world: func(w *world) {
			w.publish(d, resolvertest.HostPolicy(enforce(d)+"mx: *.backup.test\n"))
			w.dns.Add("a.test. 300 IN MX 20 mx.backup.test.", "mx.backup.test. 300 IN AAAA 2001:db8::25",
				"mta-sts.a.test. 300 IN A 10.0.0.1",
				`_smtp._tls.a.test. 300 IN TXT "v=TLSRPTv1; rua=mailto:tls@a.test"`)
		}},
		{title: "bracket", key: "[mx.a.test]:587", world: func(w *world) {
			w.publish("mx.a.test", resolvertest.HostPolicy(enforce("a.test")))
			w.dns.Add("mx.a.test. 300 IN A 192.0.2.25")
		}},
		{title: "testing", world: served("version: STSv1\nmode: testing\nmx: mx.a.test\nmax_age: 3600\n"), status: 1},
		{title: "none", world: served("version: STSv1\nmode: none\nmax_age: 86400\n"), status: 1},
		{title: "mismatch", world: served("version: STSv1\nmode: enforce\nmx: mail.a.test\nmax_age: 1209600\n"), status: 3},
		{title: "partlymatched", world: func(w *world) {
			w.publish(d, resolvertest.HostPolicy(enforce(d)))
			w.dns.Add("a.test. 300 IN MX 5 other.test.")
		}},
		{title: "broken", world: served("\ufeffversion: STSv1\nmode: enforce\nmax-age: 86400\nmx: mx.a.test\n"), status: 4},
		{title: "norecord", world: func(w *world) { w.dns.Add("a.test. 300 IN A 192.0.2.25") }, status: 1},
		{title: "danglingrecord", world: func(w *world) {
			w.dns.Add("_mta-sts.a.test. 300 IN CNAME _mta-sts.provider.test.", "a.test. 300 IN A 192.0.2.25")
		}, status: 1},
		{title: "nearlyrecord", world: func(w *world) { w.dns.Add(`_mta-sts.a.test. 300 IN TXT "v=STSv1 id=1"`) }, status: 3},
		{title: "tworecords", world: func(w *world) {
			served(enforce(d))(w)
			w.dns.Add(`_mta-sts.a.test. 300 IN TXT "v=STSv1; id=2"`)
		}, status: 4},
		{title: "twoaddresses", world: func(w *world) {
			w.dns.Add(`_mta-sts.a.test. 300 IN TXT "v=STSv1; id=1"`, "mta-sts.a.test. 300 IN A 127.0.0.2", "mta-sts.a.test. 300 IN A 127.0.0.1")
			w.hosts.Handle(d, resolvertest.HostPolicy(enforce(d)))
		}, status: 3},
		{title: "expired", world: behaves(resolvertest.HostExpired(enforce(d))), status: 4},
		{title: "wrongname", world: behaves(resolvertest.HostWrongName(enforce(d))), status: 4},
		{title: "redirect", world: behaves(resolvertest.HostRedirect(301, "b.test")), status: 4},
		{title: "notfound", world: behaves(resolvertest.HostStatus(404, "")), status: 4},
		{title: "webpage", world: behaves(resolvertest.HostContentType("text/html", "<html>")), status: 4},
		{title: "noaddress", world: func(w *world) { w.dns.Add(`_mta-sts.a.test. 300 IN TXT "v=STSv1; id=1"`) }, status: 3},
		{title: "servfail", world: func(w *world) { w.dns.Misbehave(resolvertest.EveryName, resolvertest.DNSRcode(2)) }, status: 2},
		{title: "endssoon", world: func(w *world) {
			b := resolvertest.HostPolicy(enforce(d))
			b.Leaf = func(host string) resolvertest.Leaf {
				return resolvertest.Leaf{Names: []string{host}, NotAfter: time.Now().Add(25 * time.Hour)}
			}
			w.publish(d, b)
		}},
		{title: "hostile", world: func(w *world) {
			b := resolvertest.HostContentType("text/plain; \x9b31m", "\x1b]0;\a\u009b31m\r\n\x7f\xff\n"+strings.Repeat("x", 2000))
			b.Leaf = func(host string) resolvertest.Leaf {
				names := []string{host}
				for i := range 30 {
					names = append(names, fmt.Sprintf("n%d.test", i))
				}
				return resolvertest.Leaf{Names: names}
			}
			w.publish(d, b)
			w.dns.Add(`_mta-sts.a.test. 300 IN TXT "\027[31m stsv1 \155"`, `a.test. 300 IN MX 1 \027\155.b.test.`,
				`_smtp._tls.a.test. 300 IN TXT "v=TLSRPTv1; rua=mailto:\027@\155"`)
			for i := range 30 {
				w.dns.Add(fmt.Sprintf("mta-sts.a.test. 300 IN A 10.0.0.%d", i), fmt.Sprintf("a.test. 300 IN MX 20 mx%d.a.test.", i),
					fmt.Sprintf(`_mta-sts.a.test. 300 IN TXT "%d"`, i), fmt.Sprintf("mx.a.test. 300 IN A 192.0.2.%d", i))
			}
		}, status: 4},
		{title: "nullmx", world: func(w *world) { w.dns.Add("a.test. 300 IN MX 0 .") }, status: 3},
		{title: "override", world: served(enforce(d)), profile: tlspolicy.Profile{Overrides: tlspolicy.Overrides{Exact: override}}},
		{title: "monitor", world: served(enforce(d)), profile: tlspolicy.Profile{Monitor: true}, status: 1},
	} {
		t.Run(tt.title, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			tt.world(w)
			if tt.key == "" {
				tt.key = d
			}
			r, text := w.look(t, tt.key, Options{Profile: tt.profile, NoDANE: errNoDANE})
			golden(t, tt.title+".txt", text)
			strange := func(r rune) bool { return (r < ' ' || r > '~') && r != '\n' }
			if i := strings.IndexFunc(text, strange); i >= 0 {
				t.Errorf("not printable: %q", text[i:])
			}
			if got := r.ExitStatus(); got != tt.status {
				t.Errorf("exit status %d, want %d", got, tt.status)
			}
		})
	}
}

// The JSON form's names are there to stay, and a narrow page is laid out.
func TestForms(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publish("a.test", resolvertest.HostPolicy(enforce("a.test")+"comment: \u009b31m\n"))
	w.dns.SetAuthenticated(true)
	w.dns.Add("_25._tcp.mx.a.test. 300 IN TLSA 3 1 1 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
		`_smtp._tls.a.test. 300 IN TXT "v=TLSRPTv1; rua=mailto:tls@a.test"`)
	r, _ := w.look(t, "a.test", Options{})
	var out bytes.Buffer
	if err := layout.WriteJSON(&out, r); err != nil {
		t.Fatal(err)
	}
	golden(t, "form.json", steady(out.String()))
	golden(t, "narrow.txt", print(t, r, 40))
}

func TestLookNotDomain(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"", "localhost", "192.0.2.1", "[192.0.2.1]", ".a.test"} {
		if r, ok := Look(t.Context(), newWorld(t).Clients, key, Options{}); ok {
			t.Errorf("%q: %+v", key, r)
		}
	}
}

func domain(t *testing.T, s string) mtasts.Domain {
	t.Helper()
	d, err := mtasts.ParseDomain(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
