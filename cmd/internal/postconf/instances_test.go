package postconf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mta-sts-daemon/config"
	"mta-sts-daemon/socketmap"
)

// postmulti is a Postfix of several instances, each with a directory below dir;
// the primary one is in ".".
func postmulti(t *testing.T, dir string, mainCF map[string]string) Command {
	t.Helper()
	for name, text := range mainCF {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		writeMainCF(t, filepath.Join(dir, name), text)
	}
	return Command{Path: fake(t, t.TempDir(), fmt.Sprintf(`
cd %s
if [ "$1" = -c ]; then cd "$2" || exit 1; shift 2; fi
shift # -x
for name; do
	if [ "$name" = config_directory ]; then echo "config_directory = $PWD"; else grep "^$name =" main.cf; fi
done
exit 0
`, dir))}
}

func TestInstances(t *testing.T) {
	t.Parallel()
	const enabled, disabled = "multi_instance_enable = yes\n", "multi_instance_enable = no\n"
	for _, tt := range []struct {
		title         string
		primary       string
		all, enabled  string // DIR is the primary's directory
		changedByFile string // of which instance
	}{
		{"one", disabled, "DIR", "DIR", "."},
		{"one and an empty list", disabled + "multi_instance_directories =\n", "DIR", "DIR", "."},
		{"three", enabled + "multi_instance_directories = DIR/in DIR/out\n", "DIR, DIR/in, out", "DIR, out", "in"},
		{"three with commas", enabled + "multi_instance_directories = DIR/in,\tDIR/out\n", "DIR, DIR/in, out", "DIR, out", "out"},
		{"primary disabled", disabled + "multi_instance_directories = DIR/out\n", "DIR, out", "out", "."},
	} {
		t.Run(tt.title, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			expand := func(text string) string { return strings.ReplaceAll(text, "DIR", dir) }
			c := postmulti(t, dir, map[string]string{
				".":   expand(tt.primary),
				"in":  disabled,
				"out": enabled + "multi_instance_name = out\nsmtp_dns_support_level = dnssec\n",
			})
			got, err := c.Instances(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{expand(tt.all), expand(tt.enabled)}, []string{got.String(), got.Enabled().String()}); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if last := got[len(got)-1]; last.DoesDANE() != (last.Name == "out") {
				t.Errorf("%s does DANE: %v", last.Instance(), last.DoesDANE())
			}
			if got.Changed() {
				t.Error("changed before")
			}
			writeMainCF(t, filepath.Join(dir, tt.changedByFile), "# another length\n")
			if !got.Changed() {
				t.Error("a change was not noticed")
			}
		})
	}
	dir := t.TempDir()
	c := postmulti(t, dir, map[string]string{".": "multi_instance_directories = /nowhere\n"})
	var exit *ExitError
	if got, err := c.Instances(t.Context()); !errors.As(err, &exit) || got != nil {
		t.Errorf("no such directory: got %v, error %v", got, err)
	}
	if !(Instances)(nil).Changed() {
		t.Error("instances that were never read have not changed")
	}
}

func TestMapNames(t *testing.T) {
	t.Parallel()
	socketmaps := []config.Address{{Network: config.TCP, Address: "127.0.0.1:8461"}, {Network: config.Unix, Address: "/var/spool/postfix-out/sts/sock"}}
	tcpTable := []config.TCPTable{{Address: config.Address{Network: config.TCP, Address: "127.0.0.1:8462"}},
		{Address: config.Address{Network: config.TCP, Address: "127.0.0.1:8463"}, Map: "tlsrpt"}}
	for maps, want := range map[string][]socketmap.MapName{
		"":                                      nil,
		"hash:/etc/postfix/tls":                 nil,
		"socketmap:inet:127.0.0.1:8461:postfix": {{Name: "postfix"}},
		"socketmap:inet:localhost:8461:a tcp:localhost:8463":                 {{Name: "a"}, {Name: "tlsrpt", TCP: true}},
		"hash:/etc/postfix/tls, proxy:socketmap:inet:127.0.0.1:8461:postfix": {{Name: "postfix"}},
		"socketmap:inet:127.0.0.1:8462:postfix":                              nil,
		"socketmap:inet:127.0.0.1:8461":                                      nil, // malformed
		"tcp:127.0.0.1:8461":                                                 nil,
		"tcp:127.0.0.1:8462":                                                 {{TCP: true}},
		"tcp:127.0.0.1:8463":                                                 {{Name: "tlsrpt", TCP: true}},
		"socketmap:unix:sts/sock:postfix":                                    {{Name: "postfix"}},
		"socketmap:unix:/sts/sock:postfix":                                   {{Name: "postfix"}}, // from within a chroot
		"socketmap:unix:/var/spool/postfix-out/sts/sock:postfix":             {{Name: "postfix"}},
		"socketmap:unix:other/sock:postfix":                                  nil,
	} {
		s := Settings{PolicyMaps: maps, QueueDirectory: "/var/spool/postfix-out"}
		if got := s.MapNames(socketmaps, tcpTable); !slices.Equal(got, want) {
			t.Errorf("%q: got %v, want %v", maps, got, want)
		}
	}
}

func TestLooksUpNative(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]bool{"": false, "dns": false, "native": true, "dns, native": true, "Native dns": true} {
		if got := (Settings{HostLookup: value}).LooksUpNative(); got != want {
			t.Errorf("%q: %v", value, got)
		}
	}
}
