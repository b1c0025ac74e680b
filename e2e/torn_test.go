package e2e

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// Messages of the daemon about a policy file that it can use only in part, or not
// at all.
const (
	saysLost   = `level=WARN msg="Policy file had corrupt policies, which were removed"`
	saysUnused = `level=WARN msg="Policy file cannot be used, set aside and created again"`
)

// tear is one way to corrupt a policy file that has tornPolicies policies. It makes
// the whole file unusable, or it leaves the two meta pages at the start unchanged.
// bbolt needs only one of them: if the newer is corrupt, bbolt uses the older, as
// after a crash, and loses the last changes without an error.
type tear struct {
	name    string
	harm    harm
	pattern func(f *os.File, size int64) (how string, err error)
}

// harm is what must happen to the policies.
type harm string

const (
	anyHarm harm = "any"
	oneLost harm = "one is lost"
	allLost harm = "all are lost and the file is set aside"
)

const (
	tornPolicies = 200
	tornUsed     = 48 << 10 // the file uses at least so many bytes from its start
	tornPage     = 4 << 10  // the page size is this or a multiple of it
)

var tears = []tear{
	{"no policy file", allLost, func(f *os.File, size int64) (string, error) {
		return "all of it", overwrite(f, 0, size)
	}},
	{"less than a page", allLost, func(f *os.File, _ int64) (string, error) {
		return "cut to 1000 bytes", f.Truncate(1000)
	}},
	{"cut in the middle", allLost, func(f *os.File, size int64) (string, error) {
		at := 1 + mathrand.Int64N(tornUsed-1)
		return fmt.Sprintf("cut to %d of %d bytes", at, size), f.Truncate(at)
	}},
	{"cut anywhere", anyHarm, func(f *os.File, size int64) (string, error) {
		at := 1 + mathrand.Int64N(size-1)
		return fmt.Sprintf("cut to %d of %d bytes", at, size), f.Truncate(at)
	}},
	{"a page", anyHarm, func(f *os.File, _ int64) (string, error) {
		page := 2*tornPage + tornPage*mathrand.Int64N(tornUsed/tornPage-2)
		return fmt.Sprintf("page at %d", page), overwrite(f, page, tornPage)
	}},
	{"all pages but the head", allLost, func(f *os.File, size int64) (string, error) {
		return "all pages but two", overwrite(f, 2*tornPage, size-2*tornPage)
	}},
	{"one policy", oneLost, func(f *os.File, size int64) (string, error) {
		text := policy("enforce", "mx.d77.test")
		return "the policy of d77.test", overwriteAll(f, size, text)
	}},
}

// TestTornFile corrupts the policy file between two runs of the daemon, at
// random, as a failing disk does. The next run warns once if a policy is lost,
// sets an unusable file aside, answers all lookups and saves what it discovers
// again.
func TestTornFile(t *testing.T) {
	w := newBareWorld(t)
	var domains []string
	for i := range tornPolicies {
		domain := fmt.Sprintf("d%d.test", i)
		w.addMX(domain, "mx."+domain, "127.0.1.1")
		w.publish(domain, enforce(domain))
		domains = append(domains, domain)
	}
	for _, tc := range tears {
		t.Run(tc.name, func(t *testing.T) {
			r := newRoot(t, bookworm)
			d := startDaemonIn(t, w, r, askAuthority, keepPolicies)
			wantSecure(t, domains)
			d.stop(t)
			path := filepath.Join(r.dir, policyFile)
			t.Log("corrupt: " + tc.spoil(t, path))

			before := fetches(w, domains)
			d.again(t)
			wantSecure(t, domains)
			lost := fetches(w, domains) - before
			d.stop(t)
			warnings, aside := d.warnings(), d.setAside(t)
			t.Logf("%d policies were fetched again; set aside: %q; warnings: %q", lost, aside, warnings)
			if len(warnings) > 1 || len(warnings) == 0 && lost > 0 {
				t.Error("want one warning where a policy is lost")
			}
			if len(aside) != containing(warnings, saysUnused) || len(warnings) != len(aside)+containing(warnings, saysLost) {
				t.Error("the warning does not tell what has happened")
			}
			if tc.harm == allLost && (lost != tornPolicies || len(aside) != 1) ||
				tc.harm == oneLost && lost != 1 {
				t.Error("want: " + tc.harm)
			}

			w.cutOff()
			defer w.connect()
			d.again(t)
			wantSecure(t, domains)
			if warnings := d.warnings(); len(warnings) > 0 {
				t.Errorf("the daemon warned again: %q", warnings)
			}
			d.stop(t)
		})
	}
}

// spoil corrupts the file at path with tc.pattern, and returns what it did.
func (tc tear) spoil(t *testing.T, path string) (how string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil {
		how, err = tc.pattern(f, info.Size())
	}
	if err != nil {
		t.Fatal(err)
	}
	return how
}

// overwrite replaces n bytes by random ones.
func overwrite(f *os.File, at, n int64) error {
	_, err := io.Copy(io.NewOffsetWriter(f, at), io.LimitReader(rand.Reader, n))
	return err
}

// overwriteAll puts noise in the place of text wherever it stands.
func overwriteAll(f *os.File, size int64, text string) error {
	content, err := io.ReadAll(io.NewSectionReader(f, 0, size))
	if err != nil {
		return err
	}
	for at := 0; ; at += len(text) {
		next := bytes.Index(content[at:], []byte(text))
		if next < 0 {
			return nil
		}
		at += next
		if err := overwrite(f, int64(at), int64(len(text))); err != nil {
			return err
		}
	}
}

// fetches counts those of all domains.
func fetches(w *world, domains []string) (n int) {
	for _, domain := range domains {
		n += w.hosts.Requests(domain)
	}
	return n
}
