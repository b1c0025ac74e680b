package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"crypto/x509"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
)

// configFile is for a container: Postfix is in another one.
//
//go:embed config.yaml
var configFile []byte

const (
	program = "/usr/bin/mta-sts-daemon"
	user    = 8461 // and group
	dataDir = "/data"
)

// A layer is the file system of one architecture.
type layer struct {
	compressed []byte
	diffID     digest // of the archive before compression
}

// layer puts the file system together. staged has the program and the documents.
func (b build) layer(staged string) (layer, error) {
	authorities, err := readAuthorities(b.authorities)
	if err != nil {
		return layer{}, err
	}
	files := map[string][]byte{}
	for _, name := range []string{"mta-sts-daemon", "LICENSES", "sbom.cdx.json"} {
		if files[name], err = os.ReadFile(filepath.Join(staged, name)); err != nil {
			return layer{}, err
		}
	}
	t := newTree(b.date)
	for _, dir := range []string{
		"etc", "etc/mta-sts-daemon", "etc/ssl", "etc/ssl/certs",
		"run", "usr", "usr/bin", "usr/share", "usr/share/doc", "usr/share/doc/mta-sts-daemon",
	} {
		t.dir(dir, 0o755, 0)
	}
	// A new volume takes over the owner and the mode of the directory below it.
	t.dir("data", 0o750, user)
	t.dir("run/mta-sts", 0o755, user)
	t.file("etc/passwd", 0o644, fmt.Appendf(nil, "root:x:0:0::/:/nonexistent\nmta-sts:x:%d:%[1]d::/data:/nonexistent\n", user))
	t.file("etc/group", 0o644, fmt.Appendf(nil, "root:x:0:\nmta-sts:x:%d:\n", user))
	t.file("etc/mta-sts-daemon/config.yaml", 0o644, configFile)
	t.file("etc/ssl/certs/ca-certificates.crt", 0o644, authorities)
	t.file("usr/bin/mta-sts-daemon", 0o755, files["mta-sts-daemon"])
	t.file("usr/share/doc/mta-sts-daemon/LICENSES", 0o644, files["LICENSES"])
	t.file("usr/share/doc/mta-sts-daemon/sbom.cdx.json", 0o644, files["sbom.cdx.json"])
	plain, err := t.close()
	if err != nil {
		return layer{}, err
	}
	var compressed bytes.Buffer
	z, err := gzip.NewWriterLevel(&compressed, gzip.BestCompression)
	if err != nil {
		return layer{}, err
	}
	if _, err := z.Write(plain); err != nil {
		return layer{}, err
	}
	if err := z.Close(); err != nil {
		return layer{}, err
	}
	return layer{compressed.Bytes(), sha256.Sum256(plain)}, nil
}

// readAuthorities reads the certificate authorities: without any the daemon can fetch no policy.
func readAuthorities(file string) ([]byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%w: install ca-certificates, or name a PEM file with AUTHORITIES=", err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s has no certificate", file)
	}
	return text, nil
}
