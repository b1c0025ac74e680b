package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	mit    = "Permission is hereby granted, free of charge, to any person\n  obtaining a copy"
	bsd    = "* Neither the name of X nor"
	apache = "                Apache License\n          Version 2.0, January 2004\n   1. Definitions.\n" +
		"any such warranty or additional liability.\n"
	apacheEnd = "\n   END OF TERMS AND CONDITIONS\n\n   APPENDIX: How to\n   limitations under the License.\n"
	mpl       = "Mozilla Public License, version 2.0\n\n1. Definitions\n\nExhibit B\n      defined by\n      the Mozilla Public License, v. 2.0.\n"
)

// project makes a directory of files.
func project(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestReadLicence(t *testing.T) {
	t.Parallel()
	top := project(t, map[string]string{
		"LICENSE":   "Copyright (c) 2001 A. Author\ncopyright 2002-2003 B, Inc.\r\n" + mit,
		"NOTICE":    "Copyright 2004 C",
		"README.md": "Copyright 2005 Nobody",
	})
	below := project(t, map[string]string{"COPYING": "Copyright © 2006 D\nCopyright 2004 C\n" + bsd})
	got, err := readLicence(top, below)
	if err != nil {
		t.Fatal(err)
	}
	want := licence{
		id:         "MIT AND BSD-3-Clause",
		copyrights: []string{"2001 A. Author", "2002-2003 B, Inc.", "2004 C", "2006 D"},
		text:       got.text,
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(licence{})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	for _, part := range []string{"2004 C", mit, bsd} {
		if !strings.Contains(got.text, part) {
			t.Errorf("text lacks %q", part)
		}
	}
}

func TestIdentify(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		mit:    "MIT",
		bsd:    "BSD-3-Clause",
		apache: "Apache-2.0",
		mpl:    "MPL-2.0",
		"Licensed under the Apache License, Version 2.0 (the": "Apache-2.0",
		"Redistributions in binary form must reproduce the":   "BSD-2-Clause",
		"All rights reserved.":                                "",
	} {
		if got := strings.Join(identify(text), " "); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

// What nobody has read is not published.
func TestUnknownLicence(t *testing.T) {
	t.Parallel()
	dir := project(t, map[string]string{"LICENSE": "Ask me.", "NOTICE": "Copyright 2001 X"})
	list := "example.com/m|v1|" + dir + "|" + dir + "\n"
	if _, err := readModules(list); err == nil || !strings.Contains(err.Error(), "example.com/m") {
		t.Errorf("got %v, want an error that names the module", err)
	}
	if _, err := readModules("example.com/m|v1||\n"); err == nil || !strings.Contains(err.Error(), "go mod download") {
		t.Errorf("got %v, want an error that names the remedy", err)
	}
}

// A licence between a linked package and its module's top counts, others don't.
func TestReadModules(t *testing.T) {
	t.Parallel()
	top := project(t, map[string]string{"LICENSE": mit})
	for dir, text := range map[string]string{"in/used": bsd, "in/unused": mpl} {
		dir = filepath.Join(top, dir)
		if err := os.MkdirAll(filepath.Join(dir, "pkg"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "LICENSE"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	list := "z.example|v2|" + top + "|" + top + "\n" +
		"a.example|v1|" + top + "|" + top + "/in/used/pkg\n" +
		"a.example|v1|" + top + "|" + top + "\n"
	modules, err := readModules(list)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range modules {
		got = append(got, m.path+" "+m.version+" "+m.licence.id)
	}
	want := []string{"a.example v1 MIT AND BSD-3-Clause", "z.example v2 MIT"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
