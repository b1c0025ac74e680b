package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"
)

// The media types are Docker's, because podman ignores the health check of an image of
// OCI's own types; every engine reads them in an OCI layout.
const (
	typeManifest = "application/vnd.docker.distribution.manifest.v2+json"
	typeList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	typeConfig   = "application/vnd.docker.container.image.v1+json"
	typeLayer    = "application/vnd.docker.image.rootfs.diff.tar.gzip"
)

type digest [sha256.Size]byte

func (d digest) String() string               { return fmt.Sprintf("sha256:%x", d[:]) }
func (d digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// path is the path of the blob in an OCI layout.
func (d digest) path() string { return fmt.Sprintf("blobs/sha256/%x", d[:]) }

// A descriptor refers to a blob (OCI image-spec, descriptor.md).
type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      digest            `json:"digest"`
	Size        int               `json:"size"`
	Platform    *platform         `json:"platform,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type platform struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
}

type manifest struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Config        descriptor   `json:"config"`
	Layers        []descriptor `json:"layers"`
}

// An index lists the images of several architectures, or is an OCI layout's table of contents.
type index struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType,omitempty"`
	Manifests     []descriptor `json:"manifests"`
}

// An image is its configuration (OCI image-spec, config.md, and Docker's Healthcheck).
type image struct {
	platform
	Created time.Time `json:"created"`
	Config  runConfig `json:"config"`
	RootFS  rootFS    `json:"rootfs"`
	History []history `json:"history"`
}

type runConfig struct {
	User         string
	ExposedPorts map[string]struct{}
	Env          []string
	Entrypoint   []string
	WorkingDir   string
	Volumes      map[string]struct{}
	Labels       map[string]string
	Healthcheck  healthcheck
}

type healthcheck struct {
	Test                           []string
	Interval, Timeout, StartPeriod time.Duration
	Retries                        int
}

type rootFS struct {
	Type    string   `json:"type"`
	DiffIDs []digest `json:"diff_ids"`
}

type history struct {
	Created   time.Time `json:"created"`
	CreatedBy string    `json:"created_by"`
}

// image returns the configuration of an architecture's image, still without its layer.
func (b build) image(arch string) image {
	id := strconv.Itoa(user)
	return image{
		platform: platform{arch, "linux"},
		Created:  b.date,
		Config: runConfig{
			User:         id + ":" + id,
			ExposedPorts: map[string]struct{}{"8461/tcp": {}},
			Env:          []string{"PATH=/usr/bin"},
			Entrypoint:   []string{program},
			WorkingDir:   dataDir,
			Volumes:      map[string]struct{}{dataDir: {}},
			Labels: map[string]string{
				"org.opencontainers.image.title":       "mta-sts-daemon",
				"org.opencontainers.image.description": "MTA-STS policies (RFC 8461) for Postfix",
				"org.opencontainers.image.version":     b.version,
				"org.opencontainers.image.created":     b.date.Format(time.RFC3339),
				"org.opencontainers.image.licenses":    "MIT",
			},
			Healthcheck: healthcheck{
				Test:     []string{"CMD", program, "healthcheck"},
				Interval: 30 * time.Second, Timeout: 10 * time.Second, StartPeriod: 10 * time.Second, Retries: 3,
			},
		},
		RootFS:  rootFS{Type: "layers"},
		History: []history{{b.date, "make image"}},
	}
}

// An archive is an OCI layout. manifest.json makes it readable for Docker too.
type archive struct {
	*tree
	blobs  map[digest]bool
	images []descriptor
	docker []dockerImage
}

// A dockerImage is an entry of manifest.json.
type dockerImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

func newArchive(date time.Time) *archive {
	return &archive{tree: newTree(date), blobs: map[digest]bool{}}
}

// blob adds content, once, and returns what refers to it.
func (a *archive) blob(mediaType string, content []byte) descriptor {
	d := descriptor{MediaType: mediaType, Digest: sha256.Sum256(content), Size: len(content)}
	if !a.blobs[d.Digest] {
		a.blobs[d.Digest] = true
		a.file(d.Digest.path(), 0o644, content)
	}
	return d
}

func (a *archive) json(mediaType string, v any) (descriptor, error) {
	text, err := json.Marshal(v)
	return a.blob(mediaType, text), err
}

// add adds the image of an architecture. Docker gets one of them, as name.
func (a *archive) add(img image, l layer, forDocker bool, name string) error {
	img.RootFS.DiffIDs = []digest{l.diffID}
	config, err := a.json(typeConfig, img)
	if err != nil {
		return err
	}
	contents := a.blob(typeLayer, l.compressed)
	m, err := a.json(typeManifest, manifest{2, typeManifest, config, []descriptor{contents}})
	if err != nil {
		return err
	}
	m.Platform = &img.platform
	a.images = append(a.images, m)
	if forDocker {
		a.docker = append(a.docker, dockerImage{config.Digest.path(), []string{name}, []string{contents.Digest.path()}})
	}
	return nil
}

// write completes the archive and writes it.
func (a *archive) write(w io.Writer, name string) error {
	list, err := a.json(typeList, index{2, typeList, a.images})
	if err != nil {
		return err
	}
	list.Annotations = map[string]string{
		"org.opencontainers.image.ref.name": name,
		"io.containerd.image.name":          "docker.io/library/" + name,
	}
	for _, f := range []struct {
		name string
		v    any
	}{
		{"index.json", index{SchemaVersion: 2, Manifests: []descriptor{list}}},
		{"manifest.json", a.docker},
		{"oci-layout", map[string]string{"imageLayoutVersion": "1.0.0"}},
	} {
		text, err := json.Marshal(f.v)
		if err != nil {
			return err
		}
		a.file(f.name, 0o644, text)
	}
	text, err := a.close()
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}
