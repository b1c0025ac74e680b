package dnsclient

import (
	"bytes"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// texts shows a set as an operator would write it.
func texts(addrs []netip.AddrPort) string {
	var s []string
	for _, a := range addrs {
		s = append(s, a.String())
	}
	return strings.Join(s, " ")
}

func TestParseResolvConf(t *testing.T) {
	t.Parallel()
	const none = "127.0.0.1:53 [::1]:53"
	for text, want := range map[string]string{
		"":                                    none,
		"search example.com\noptions edns0\n": none,
		"nameserver 192.0.2.1":                "192.0.2.1:53",
		"nameserver 192.0.2.1\nnameserver 2001:db8::1\n":                                 "192.0.2.1:53 [2001:db8::1]:53",
		"nameserver 1.1.1.1\nnameserver 2.2.2.2\nnameserver 3.3.3.3\nnameserver 4.4.4.4": "1.1.1.1:53 2.2.2.2:53 3.3.3.3:53 4.4.4.4:53",
		"nameserver\tfe80::1%eth0 # the router\r\n":                                      "[fe80::1%eth0]:53",
		"nameserver ::ffff:192.0.2.1":                                                    "192.0.2.1:53",
		"# nameserver 192.0.2.1\n;nameserver 192.0.2.2\n":                                none,
		"nameserver\nnameserver localhost\nnameserver 192.0.2.1:53\n":                    none,
		"nameservers 192.0.2.1":                                                          none,
		"nameserver bad\nnameserver 192.0.2.3\n":                                         "192.0.2.3:53",
	} {
		if got := texts(parseResolvConf(text)); got != want {
			t.Errorf("%q: got %s; want %s", text, got, want)
		}
	}
}

// TestResolvConfFollowed takes one file through its life.
func TestResolvConfFollowed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	var log bytes.Buffer
	followed := servers{conf: &resolvConf{path: path, logger: slog.New(slog.NewTextHandler(&log, nil))}}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	replace := func(text string) {
		t.Helper()
		if err := os.Rename(path, path+".old"); err != nil {
			t.Fatal(err)
		}
		write(text)
		// As old as the file before: a backup that was put back.
		old, err := os.Stat(path + ".old")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Time{}, old.ModTime()); err != nil {
			t.Fatal(err)
		}
	}
	remove := func() {
		t.Helper()
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
	}
	directory := func() {
		t.Helper()
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		for _, step := range []struct {
			title    string
			change   func()
			want     string
			warnings int // so far
		}{
			{"there from the start", func() { write("nameserver 192.0.2.1") }, "192.0.2.1:53", 0},
			{"longer", func() { write("nameserver 192.0.2.1\nnameserver 192.0.2.2") }, "192.0.2.1:53 192.0.2.2:53", 0},
			{"replaced, same length", func() { replace("nameserver 192.0.2.3\nnameserver 192.0.2.4") }, "192.0.2.3:53 192.0.2.4:53", 0},
			{"gone", remove, "192.0.2.3:53 192.0.2.4:53", 1},
			{"still gone", func() {}, "192.0.2.3:53 192.0.2.4:53", 1},
			{"unreadable", directory, "192.0.2.3:53 192.0.2.4:53", 1},
			{"back", func() { remove(); write("nameserver 192.0.2.5") }, "192.0.2.5:53", 1},
			{"gone again", remove, "192.0.2.5:53", 2},
			{"empty", func() { write("") }, "127.0.0.1:53 [::1]:53", 2},
		} {
			step.change()
			time.Sleep(checkEvery)
			if got := texts(followed.inForce(time.Now()).addrs); got != step.want {
				t.Errorf("%s: got %s; want %s", step.title, got, step.want)
			}
			if n := strings.Count(log.String(), "level=WARN"); n != step.warnings {
				t.Errorf("%s: %d warnings; want %d\n%s", step.title, n, step.warnings, &log)
			}
		}
	})
}

// TestResolvConfLookedAtSeldom: between two looks a change is not noticed, and
// an unchanged file keeps the same set, with the server it prefers.
func TestResolvConfLookedAtSeldom(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		followed := servers{conf: &resolvConf{path: path, logger: slog.New(slog.DiscardHandler)}}
		write("nameserver 192.0.2.1\nnameserver 192.0.2.2")
		before := followed.inForce(time.Now())
		time.Sleep(checkEvery)
		if followed.inForce(time.Now()) != before {
			t.Error("read anew without a change")
		}
		write("nameserver 192.0.2.3")
		time.Sleep(checkEvery - time.Nanosecond)
		if followed.inForce(time.Now()) != before {
			t.Error("looked at again too early")
		}
		time.Sleep(time.Nanosecond)
		if got := texts(followed.inForce(time.Now()).addrs); got != "192.0.2.3:53" {
			t.Errorf("got %s", got)
		}
	})
}

func TestResolvConfMissingAtStart(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	client := New(Options{
		ResolvConf: filepath.Join(t.TempDir(), "none"),
		Logger:     slog.New(slog.NewTextHandler(&log, nil)),
	})
	want := texts(parseResolvConf(""))
	if diff := cmp.Diff(want, texts(client.servers.inForce(time.Now()).addrs)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if n := strings.Count(log.String(), "level=WARN"); n != 1 {
		t.Errorf("%d warnings; want 1\n%s", n, &log)
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	client := New(Options{})
	if client.timeout != 5*time.Second {
		t.Errorf("time limit %v", client.timeout)
	}
	if len(client.servers.inForce(time.Now()).addrs) == 0 {
		t.Error("no servers")
	}
}
