package packaging

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// deb holds the members of a .deb file, by name without the "./".
type deb struct{ control, data map[string]member }

type member struct {
	header   *tar.Header
	contents []byte
}

// openDeb reads a package, deb(5): an ar archive of version, control files and
// files to install.
func openDeb(t *testing.T, file []byte) deb {
	t.Helper()
	const magic, headerLen = "!<arch>\n", 60
	parts := map[string][]byte{}
	rest, ok := bytes.CutPrefix(file, []byte(magic))
	for ok && len(rest) >= headerLen {
		name := strings.TrimRight(string(rest[:16]), " /")
		size, err := strconv.Atoi(strings.TrimSpace(string(rest[48:58])))
		if err != nil || headerLen+size > len(rest) {
			t.Fatalf("member %s: size %q", name, rest[48:58])
		}
		parts[name] = rest[headerLen : headerLen+size]
		rest = rest[min(headerLen+size+size%2, len(rest)):]
	}
	return deb{unpack(t, parts["control.tar.gz"]), unpack(t, parts["data.tar.gz"])}
}

func unpack(t *testing.T, archive []byte) map[string]member {
	t.Helper()
	members := map[string]member{}
	r := tar.NewReader(bytes.NewReader(gunzip(t, archive)))
	for {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return members
		}
		if err != nil {
			t.Fatal(err)
		}
		contents, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		members[strings.TrimPrefix(header.Name, "./")] = member{header, contents}
	}
}

func gunzip(t *testing.T, packed []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	contents, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return contents
}

func (d deb) testFiles(t *testing.T) {
	var got []string
	for name, m := range d.data {
		if m.header.Uid != 0 || m.header.Gid != 0 || fmt.Sprint(m.header.ModTime.Unix()) != testEpoch {
			t.Errorf("%s is of %d:%d, %v", name, m.header.Uid, m.header.Gid, m.header.ModTime)
		}
		if m.header.Typeflag != tar.TypeDir {
			got = append(got, fmt.Sprintf("%04o %s\n", m.header.Mode, name))
		} else if m.header.Mode != 0o755 {
			t.Errorf("directory %s has mode %04o", name, m.header.Mode)
		}
	}
	var want []string
	for _, pattern := range []string{"*.md", "*.svg", "decisions/*.md"} {
		documents, err := filepath.Glob("../docs/" + pattern)
		if err != nil || len(documents) == 0 {
			t.Fatalf("no documents docs/%s: %v", pattern, err)
		}
		for _, name := range documents {
			want = append(want, "0644 usr/share/doc/mta-sts-daemon/"+strings.TrimPrefix(name, "../docs/")+"\n")
		}
	}
	want = append(want, strings.SplitAfter(`0644 etc/mta-sts-daemon/config.yaml
0644 usr/lib/systemd/catalog/mta-sts-daemon.catalog
0644 usr/lib/systemd/system/mta-sts-daemon.service
0644 usr/lib/systemd/system/mta-sts-daemon.socket
0644 usr/lib/systemd/system/mta-sts-outcomes.service
0644 usr/lib/tmpfiles.d/mta-sts-daemon.conf
0644 usr/share/bash-completion/completions/mta-sts-daemon
0644 usr/share/doc/mta-sts-daemon/changelog.gz
0644 usr/share/doc/mta-sts-daemon/copyright
0644 usr/share/doc/mta-sts-daemon/examples/config.yaml
0644 usr/share/doc/mta-sts-daemon/examples/grafana.json
0644 usr/share/doc/mta-sts-daemon/examples/mta-sts-daemon.rules.yml
0644 usr/share/doc/mta-sts-daemon/examples/postfix-main.cf
0644 usr/share/doc/mta-sts-daemon/sbom.cdx.json
0644 usr/share/fish/vendor_completions.d/mta-sts-daemon.fish
0644 usr/share/lintian/overrides/mta-sts-daemon
0644 usr/share/man/man5/mta-sts-daemon.yaml.5.gz
0644 usr/share/man/man8/mta-sts-daemon.8.gz
0644 usr/share/zsh/vendor-completions/_mta-sts-daemon
0755 usr/bin/mta-sts-daemon
`, "\n")...)
	want = slices.DeleteFunc(want, func(line string) bool { return line == "" })
	slices.Sort(want)
	slices.Sort(got)
	differ(t, "files", strings.Join(want, ""), strings.Join(got, ""))
}

func (d deb) testControl(t *testing.T) {
	control := string(d.control["control"].contents)
	for _, line := range []string{
		"Package: mta-sts-daemon", "Version: " + testVersion, "Architecture: amd64", "Section: mail",
		"Depends: ca-certificates", "Conflicts: postfix-mta-sts-resolver", "Replaces: postfix-mta-sts-resolver",
	} {
		if !strings.Contains(control, line+"\n") {
			t.Errorf("control lacks %s:\n%s", line, control)
		}
	}
	differ(t, "conffiles", "/etc/mta-sts-daemon/config.yaml\n", string(d.control["conffiles"].contents))
	for _, script := range []string{"postinst", "prerm", "postrm"} {
		m, ok := d.control[script]
		if !ok || m.header.Mode != 0o755 {
			t.Errorf("no %s of mode 0755", script)
		}
		if out, err := syntax(m.contents); err != nil {
			t.Errorf("%s: %v\n%s", script, err, out)
		}
	}
}

// syntax checks a script without running it.
func syntax(script []byte) ([]byte, error) {
	sh := exec.Command("sh", "-n")
	sh.Stdin = bytes.NewReader(script)
	return sh.CombinedOutput()
}

// The program and the pages name the package's version.
func (d deb) testVersion(t *testing.T) {
	page := gunzip(t, d.data["usr/share/man/man8/mta-sts-daemon.8.gz"].contents)
	if header, _, _ := strings.Cut(string(page), "\n"); !strings.Contains(header, `"2023-11-14" "mta-sts-daemon 0.1.0~test1"`) {
		t.Errorf("manual page begins %s", header)
	}
	if runtime.GOARCH != "amd64" {
		return
	}
	program := filepath.Join(t.TempDir(), "mta-sts-daemon")
	if err := os.WriteFile(program, d.data["usr/bin/mta-sts-daemon"].contents, 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(program, "version").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "mta-sts-daemon "+testVersion+" ") {
		t.Errorf("version says %q, %v", out, err)
	}
}

func (d deb) testDocuments(t *testing.T) {
	doc := func(name string) []byte { return d.data["usr/share/doc/mta-sts-daemon/"+name].contents }
	changelog := string(gunzip(t, doc("changelog.gz")))
	if !strings.HasPrefix(changelog, "mta-sts-daemon ("+testVersion+") unstable; urgency=medium\n\n  * ") {
		t.Errorf("changelog begins %.80q", changelog)
	}
	var bill struct{ Components []struct{ Name string } }
	if err := json.Unmarshal(doc("sbom.cdx.json"), &bill); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"std", "github.com/miekg/dns", "go.etcd.io/bbolt"} {
		if !slices.ContainsFunc(bill.Components, func(c struct{ Name string }) bool { return c.Name == want }) {
			t.Errorf("bill of materials lacks %s", want)
		}
		if !strings.Contains(string(doc("copyright")), "\nFiles: "+want+"/*\n") {
			t.Errorf("copyright lacks %s", want)
		}
	}
}

// link is a link in Markdown to another file or to a heading.
var link = regexp.MustCompile(`\]\(([^)#]*)(#[^)]*)?\)`) // never changed

// Documents link to documents in the package, and to headings that these have.
func (d deb) testLinks(t *testing.T) {
	const dir = "usr/share/doc/mta-sts-daemon/"
	links := 0
	for name, m := range d.data {
		if !strings.HasPrefix(name, dir) || !strings.HasSuffix(name, ".md") {
			continue
		}
		for _, l := range link.FindAllStringSubmatch(string(m.contents), -1) {
			target, anchor := l[1], l[2]
			if strings.Contains(target, "://") {
				continue
			}
			links++
			file := name
			if target != "" {
				file = path.Join(path.Dir(name), target)
			}
			linked, ok := d.data[file]
			if !ok {
				t.Errorf("%s links to %s, which is not in the package", name, target)
			} else if anchor != "" && !slices.Contains(anchors(string(linked.contents)), anchor) {
				t.Errorf("%s links to %s%s, a heading that does not exist", name, target, anchor)
			}
		}
	}
	if links == 0 {
		t.Error("no document has a link")
	}
}

// anchors returns the links to a document's headings, as GitHub makes them.
func anchors(text string) (all []string) {
	for line := range strings.Lines(text) {
		heading := strings.TrimLeft(line, "#")
		if heading == line || !strings.HasPrefix(heading, " ") {
			continue
		}
		all = append(all, "#"+strings.Map(func(r rune) rune {
			switch {
			case r == ' ', r == '-':
				return '-'
			case unicode.IsLetter(r), unicode.IsDigit(r), r == '_':
				return unicode.ToLower(r)
			}
			return -1
		}, strings.TrimSpace(heading)))
	}
	return all
}
