package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mta-sts-daemon/config"
	"mta-sts-daemon/resolver/resolvertest"
)

// testBuild stages two architectures in a new directory.
func testBuild(t *testing.T) (dir string, b build) {
	t.Helper()
	dir = t.TempDir()
	for _, arch := range []string{"amd64", "arm64"} {
		for _, name := range []string{"mta-sts-daemon", "LICENSES", "sbom.cdx.json"} {
			file := filepath.Join(dir, "stage-"+arch, name)
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(name+" of "+arch), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	authorities := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(authorities, resolvertest.NewCA(t).PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, build{version: "1.2.3~rc1", authorities: authorities, date: time.Unix(1_700_000_000, 0).UTC()}
}

func makeArchive(t *testing.T, dir string, b build) []byte {
	t.Helper()
	if err := run(dir, b, []string{"amd64", "arm64"}, "arm64"); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "mta-sts-daemon.tar"))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// An entry is a file of an archive.
type entry struct {
	tar.Header
	content []byte
}

func untar(t *testing.T, archive []byte) map[string]entry {
	t.Helper()
	files := map[string]entry{}
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, twice := files[header.Name]; twice {
			t.Errorf("%s is there twice", header.Name)
		}
		files[header.Name] = entry{*header, content}
	}
}

func TestReproducible(t *testing.T) {
	t.Parallel()
	dir, b := testBuild(t)
	first := makeArchive(t, dir, b)
	if !bytes.Equal(first, makeArchive(t, dir, b)) {
		t.Error("two archives of the same files differ")
	}
}

// Every reference in the archive leads to a blob of that digest and size, for each
// architecture.
func TestLayout(t *testing.T) {
	t.Parallel()
	dir, b := testBuild(t)
	files := untar(t, makeArchive(t, dir, b))
	read := func(name string, v any) {
		t.Helper()
		if err := json.Unmarshal(files[name].content, v); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	// Digests are read as text.
	type ref struct {
		Digest      string
		Size        int
		Platform    platform
		Annotations map[string]string
	}
	blob := func(r ref) string {
		t.Helper()
		name := "blobs/" + strings.ReplaceAll(r.Digest, ":", "/")
		content := files[name].content
		if got := digest(sha256.Sum256(content)).String(); got != r.Digest || len(content) != r.Size {
			t.Errorf("%s has digest %s and %d bytes, want %d", name, got, len(content), r.Size)
		}
		return name
	}
	var top, list struct{ Manifests []ref }
	read("index.json", &top)
	if len(top.Manifests) != 1 || top.Manifests[0].Annotations["org.opencontainers.image.ref.name"] != "mta-sts-daemon:1.2.3-rc1" {
		t.Fatalf("index.json: %+v", top)
	}
	read(blob(top.Manifests[0]), &list)
	var arches []string
	for _, m := range list.Manifests {
		arch := m.Platform.Architecture
		arches = append(arches, arch)
		var manifest struct {
			Config ref
			Layers []ref
		}
		read(blob(m), &manifest)
		var img struct {
			Architecture, OS string
			Config           runConfig
			RootFS           struct {
				DiffIDs []string `json:"diff_ids"`
			}
		}
		read(blob(manifest.Config), &img)
		if img.Architecture != arch || img.OS != "linux" || img.Config.User != "8461:8461" || len(img.Config.Healthcheck.Test) != 3 {
			t.Errorf("%s: %+v", arch, img)
		}
		z, err := gzip.NewReader(bytes.NewReader(files[blob(manifest.Layers[0])].content))
		if err != nil {
			t.Fatal(err)
		}
		plain, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		if got := digest(sha256.Sum256(plain)).String(); !slices.Equal(img.RootFS.DiffIDs, []string{got}) {
			t.Errorf("%s: diff_ids %v, want %s", arch, img.RootFS.DiffIDs, got)
		}
		checkFiles(t, arch, untar(t, plain), b.date)

		var docker []dockerImage
		read("manifest.json", &docker)
		isDockers := len(docker) == 1 && docker[0].Config == blob(manifest.Config)
		if isDockers != (arch == "arm64") {
			t.Errorf("%s: manifest.json: %+v", arch, docker)
		}
	}
	if !slices.Equal(arches, []string{"amd64", "arm64"}) {
		t.Errorf("architectures %v", arches)
	}
}

func checkFiles(t *testing.T, arch string, files map[string]entry, date time.Time) {
	t.Helper()
	for name, f := range files {
		if !f.ModTime.Equal(date) {
			t.Errorf("%s: time of %s: %v", arch, name, f.ModTime)
		}
		if owned := f.Uid == user && f.Gid == user; owned != slices.Contains([]string{"data/", "run/mta-sts/"}, name) {
			t.Errorf("%s: %s belongs to %d:%d", arch, name, f.Uid, f.Gid)
		}
		if dir := filepath.Dir(strings.TrimSuffix(name, "/")) + "/"; dir != "./" && files[dir].Name == "" {
			t.Errorf("%s: %s has no entry for its directory", arch, name)
		}
	}
	if got := string(files["usr/bin/mta-sts-daemon"].content); got != "mta-sts-daemon of "+arch {
		t.Errorf("%s: the program is %q", arch, got)
	}
	if mode := files["usr/bin/mta-sts-daemon"].Mode; mode != 0o755 {
		t.Errorf("%s: mode of the program: %o", arch, mode)
	}
	c, err := config.Parse("config.yaml", files["etc/mta-sts-daemon/config.yaml"].content, nil)
	if err != nil {
		t.Error(err)
	}
	want := config.Default()
	want.Listen.Socketmap[0].Address = ":8461"
	want.Cache.File, want.Admin.Socket, want.Log.Format = "/data/policies.db", "/data/admin.sock", config.LogJSON
	if d := cmp.Diff(want, c); d != "" {
		t.Errorf("%s: configuration (-want +got):\n%s", arch, d)
	}
}

// An image that could fetch no policy is not made.
func TestNoAuthorities(t *testing.T) {
	t.Parallel()
	dir, b := testBuild(t)
	b.authorities = filepath.Join(dir, "none.pem")
	if err := run(dir, b, []string{"amd64"}, "amd64"); err == nil || !strings.Contains(err.Error(), "install ca-certificates") {
		t.Errorf("without a file: %v", err)
	}
	b.authorities = filepath.Join(dir, "stage-amd64", "LICENSES")
	if err := run(dir, b, []string{"amd64"}, "amd64"); err == nil || !strings.Contains(err.Error(), "has no certificate") {
		t.Errorf("without a certificate: %v", err)
	}
}
