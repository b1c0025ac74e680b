package authorities

import (
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mta-sts-daemon/resolver/resolvertest"
)

// write writes a file made of those parts.
func write(t *testing.T, path string, parts ...[]byte) {
	t.Helper()
	var text []byte
	for _, part := range parts {
		text = append(text, part...)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

var testLeaf = resolvertest.Leaf{Names: []string{"a.example"}}

// newCA makes an authority that has issued testLeaf, by the clock outside of a
// bubble.
func newCA(t *testing.T) *resolvertest.CA {
	ca := resolvertest.NewCA(t)
	ca.Certificate(testLeaf)
	return ca
}

// expect checks whose certificates are valid by pool.
func expect(t *testing.T, pool *x509.CertPool, valid map[*resolvertest.CA]bool) {
	t.Helper()
	for ca, want := range valid {
		leaf := ca.Certificate(testLeaf).Leaf
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: pool, CurrentTime: leaf.NotBefore.Add(time.Hour)}); (err == nil) != want {
			t.Errorf("a certificate is valid: %v, want %v", err, want)
		}
	}
}

// setSystem makes a file and a directory the system's, until the test ends.
func setSystem(t *testing.T) (file, dir string) {
	t.Helper()
	top := t.TempDir()
	file, dir = filepath.Join(top, "bundle.crt"), filepath.Join(top, "certs")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSL_CERT_FILE", file)
	t.Setenv("SSL_CERT_DIR", dir)
	return file, dir
}

func TestSystem(t *testing.T) {
	file, dir := setSystem(t)
	one, two, three, four := newCA(t), newCA(t), newCA(t), newCA(t)
	s, err := Open("")
	if err != nil {
		t.Fatal(err)
	}
	// They are read when they are needed.
	write(t, file, []byte("# a comment\n"), one.PEM())
	write(t, filepath.Join(dir, "one.pem"), one.PEM(), two.PEM())
	write(t, filepath.Join(dir, "README"), []byte("no certificate"))
	elsewhere := filepath.Join(t.TempDir(), "four.pem")
	write(t, elsewhere, four.PEM())
	for link, target := range map[string]string{"0.0": "one.pem", "4.0": "four.pem", "four.pem": elsewhere} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if problem := s.Problem(); problem != nil {
		t.Fatal(problem)
	}
	expect(t, s.Pool(), map[*resolvertest.CA]bool{one: true, two: true, three: false, four: true})
}

func TestNoAuthorities(t *testing.T) {
	file, dir := setSystem(t)
	for _, prepare := range []func(){
		func() {},
		func() { write(t, file, []byte("no certificate")) },
		func() { os.Remove(file); os.Remove(dir) },
	} {
		prepare()
		s, err := Open("")
		if err != nil || !errors.Is(s.Problem(), ErrNone) {
			t.Fatalf("%v, problem %v, want %v", err, s.Problem(), ErrNone)
		}
		if !s.Pool().Equal(x509.NewCertPool()) {
			t.Error("the pool is not empty")
		}
	}
}

func TestFile(t *testing.T) {
	t.Parallel()
	good, other := newCA(t), newCA(t)
	begin, end := "-----BEGIN CERTIFICATE-----\n", "-----END CERTIFICATE-----\n"
	for name, c := range map[string]struct {
		text    string
		problem string
		err     string
	}{
		"one":             {text: string(good.PEM())},
		"with text":       {text: "the authority:\n" + string(good.PEM()) + "the end\n"},
		"no DER":          {text: string(good.PEM()) + begin + "AAAA\n" + end, problem: "certificate 2 cannot be read"},
		"no base64":       {text: begin + "!!!!\n" + end + string(good.PEM()), problem: "certificate 1 cannot be read and is not used: malformed PEM"},
		"cut":             {text: string(good.PEM()) + string(good.PEM()[:100]), problem: "certificate 2 cannot be read and is not used: malformed PEM"},
		"none":            {text: "no certificate", err: "holds no certificate in PEM form"},
		"none readable":   {text: begin + "AAAA\n" + end, err: "holds no certificate in PEM form"},
		"empty":           {err: "holds no certificate in PEM form"},
		"not there":       {text: "-", err: "no such file"},
		"two unreadable":  {text: begin + "AAAA\n" + end + string(good.PEM()) + begin + "AAAA\n" + end, problem: "certificate 3 cannot be read"},
		"line ends, CRLF": {text: strings.ReplaceAll(string(good.PEM()), "\n", "\r\n")},
	} {
		path := filepath.Join(t.TempDir(), "ca.pem")
		if c.text != "-" {
			write(t, path, []byte(c.text))
		}
		s, err := Open(path)
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, want %q", name, err, c.err)
		}
		if err != nil {
			continue
		}
		if problem := s.Problem(); (problem == nil) != (c.problem == "") || problem != nil && !strings.Contains(problem.Error(), c.problem) {
			t.Errorf("%s: problem %v, want %q", name, problem, c.problem)
		}
		expect(t, s.Pool(), map[*resolvertest.CA]bool{good: true, other: false})
	}
}

// Authorities are read again after a day: one may be new and one gone. A file that
// is missing at that moment changes nothing, and is looked for again soon.
func TestReread(t *testing.T) {
	t.Parallel()
	first, second := newCA(t), newCA(t)
	path := filepath.Join(t.TempDir(), "ca.pem")
	write(t, path, first.PEM())
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		write(t, path, second.PEM())
		time.Sleep(rereadAfter - time.Second)
		expect(t, s.Pool(), map[*resolvertest.CA]bool{first: true, second: false})
		time.Sleep(time.Second)
		expect(t, s.Pool(), map[*resolvertest.CA]bool{first: false, second: true})

		write(t, path, []byte("no certificate"))
		time.Sleep(rereadAfter)
		expect(t, s.Pool(), map[*resolvertest.CA]bool{first: false, second: true})
		if problem := s.Problem(); problem == nil || !strings.Contains(problem.Error(), "cannot be read again") {
			t.Errorf("problem %v", problem)
		}
		write(t, path, first.PEM())
		time.Sleep(retryAfter)
		expect(t, s.Pool(), map[*resolvertest.CA]bool{first: true, second: false})
		if problem := s.Problem(); problem != nil {
			t.Errorf("problem %v when all is well again", problem)
		}
	})
}

// A system that loses all its authorities keeps those from before.
func TestRereadNone(t *testing.T) {
	file, _ := setSystem(t)
	ca := newCA(t)
	write(t, file, ca.PEM())
	synctest.Test(t, func(t *testing.T) {
		s, err := Open("")
		if err != nil {
			t.Fatal(err)
		}
		expect(t, s.Pool(), map[*resolvertest.CA]bool{ca: true})
		os.Remove(file)
		time.Sleep(rereadAfter)
		expect(t, s.Pool(), map[*resolvertest.CA]bool{ca: true})
		problem := s.Problem()
		if problem == nil || errors.Is(problem, ErrNone) || !strings.Contains(problem.Error(), "those from before stay in use: "+ErrNone.Error()) {
			t.Errorf("problem %v", problem)
		}
	})
}
