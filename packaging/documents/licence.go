package main

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// licence is the licence of a project, from its own files.
type licence struct {
	id         string   // an SPDX expression
	copyrights []string // "2009 The Go Authors"; may be empty
	text       string   // of its licences and of NOTICE
}

// phrases identify the known licences: a text with phrase and without the phrase
// without has the licence id.
var phrases = []struct{ id, phrase, without string }{
	{"Apache-2.0", "Apache License, Version 2.0", ""},
	{"Apache-2.0", "Apache License Version 2.0, January 2004", ""},
	{"BSD-3-Clause", "Neither the name of", ""},
	{"BSD-2-Clause", "Redistributions in binary form must reproduce", "Neither the name of"},
	{"MIT", "Permission is hereby granted, free of charge, to any person obtaining a copy", ""},
	{"MPL-2.0", "Mozilla Public License, version 2.0", ""},
}

var licenceFile = regexp.MustCompile(`^(LICEN[SC]E|COPYING|NOTICE)`)

var copyrightLine = regexp.MustCompile(`(?mi)^\W*copyright\s+(?:\(c\)\s*|©\s*)?(\d{4}.*?)\s*$`)

var errNoLicence = errors.New("no licence that this program knows; read it and teach it")

// readLicence reads the licence files of a project, whose top directory comes
// first, and of those directories in it that may have other ones.
func readLicence(dirs ...string) (licence, error) {
	var l licence
	var texts, ids []string
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return l, err
		}
		for _, e := range entries {
			if e.IsDir() || !licenceFile.MatchString(e.Name()) {
				continue
			}
			text, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				return l, err
			}
			texts = append(texts, strings.Trim(strings.ReplaceAll(string(text), "\r", ""), "\n"))
			ids = append(ids, identify(string(text))...)
		}
	}
	if len(ids) == 0 {
		return l, errNoLicence
	}
	l.text = strings.Join(texts, "\n\n")
	l.id = strings.Join(distinct(ids), " AND ")
	for _, found := range copyrightLine.FindAllStringSubmatch(l.text, -1) {
		l.copyrights = append(l.copyrights, found[1])
	}
	l.copyrights = distinct(l.copyrights)
	return l, nil
}

// identify returns the SPDX identifiers of the licences in text.
func identify(text string) []string {
	var ids []string
	text = strings.Join(strings.Fields(text), " ")
	for _, p := range phrases {
		if strings.Contains(text, p.phrase) && (p.without == "" || !strings.Contains(text, p.without)) {
			ids = append(ids, p.id)
		}
	}
	return ids
}

func distinct(words []string) []string {
	var kept []string
	for _, w := range words {
		if !slices.Contains(kept, w) {
			kept = append(kept, w)
		}
	}
	return kept
}
