package main

import (
	"archive/tar"
	"bytes"
	"io/fs"
	"time"
)

// A tree is a tar archive in which all files have the same time.
type tree struct {
	date time.Time
	buf  bytes.Buffer
	tar  *tar.Writer
	err  error // the first
}

func newTree(date time.Time) *tree {
	t := &tree{date: date}
	t.tar = tar.NewWriter(&t.buf)
	return t
}

func (t *tree) dir(name string, mode fs.FileMode, owner int) {
	t.add(tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: int64(mode), Uid: owner, Gid: owner}, nil)
}

func (t *tree) file(name string, mode fs.FileMode, content []byte) {
	t.add(tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: int64(mode), Size: int64(len(content))}, content)
}

func (t *tree) add(header tar.Header, content []byte) {
	header.ModTime, header.Format = t.date, tar.FormatUSTAR
	if t.err == nil {
		t.err = t.tar.WriteHeader(&header)
	}
	if t.err == nil {
		_, t.err = t.tar.Write(content)
	}
}

// close returns the archive.
func (t *tree) close() ([]byte, error) {
	if t.err == nil {
		t.err = t.tar.Close()
	}
	return t.buf.Bytes(), t.err
}
