package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDebianCopyright(t *testing.T) {
	t.Parallel()
	own := licence{id: "MIT", copyrights: []string{"2026 Us"}, text: "Mine.\n\n\tIndented."}
	got := string(debianCopyright(own, []module{
		{"a.example", "v1", licence{id: "Apache-2.0", text: apache + "\nNotice."}},
		{"b.example", "v1", licence{id: "Apache-2.0", text: apache + apacheEnd}},
		{"c.example", "v1", licence{id: "MPL-2.0 AND MIT", copyrights: []string{"2001 A", "2002 B"}, text: mpl + "\nMore."}},
	}))
	_, got, _ = strings.Cut(got, "library.\n")
	const want = `
Files: *
Copyright: 2026 Us
License: Expat
 Mine.
 .
     Indented.

Files: a.example/*
Copyright: the authors of a.example
License: Apache-2.0
 On Debian systems, the text of this licence is in
 /usr/share/common-licenses/Apache-2.0.
 .
 Notice.

Files: b.example/*
Copyright: the authors of b.example
License: Apache-2.0
 On Debian systems, the text of this licence is in
 /usr/share/common-licenses/Apache-2.0.

Files: c.example/*
Copyright: 2001 A
 2002 B
License: MPL-2.0 and Expat
 On Debian systems, the text of this licence is in
 /usr/share/common-licenses/MPL-2.0.
 .
 More.
`
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestAllLicences(t *testing.T) {
	t.Parallel()
	got := string(allLicences(licence{text: "Mine."}, []module{{"a.example", "v1", licence{id: "Apache-2.0", text: apache}}}))
	for _, want := range []string{"mta-sts-daemon\n\nMine.\n", "a.example v1 (Apache-2.0)\n\n" + apache} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q:\n%s", want, got)
		}
	}
}

func TestDebianChangelog(t *testing.T) {
	t.Parallel()
	const markdown = `# Changelog

Newest first.

## 0.2.0, not yet released

### Commands

- One.

### Packages

- A line that is long enough to be wrapped at the width that Debian has, once
  joined with what follows it.

## 0.1.0, 2026-01-31

- First.
`
	got, err := debianChangelog([]byte(markdown), release{
		version: "0.2.0~rc1", maintainer: "X <x@example.com>", date: time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC),
	})
	if err != nil {
		t.Fatal(err)
	}
	const want = `mta-sts-daemon (0.2.0~rc1) unstable; urgency=medium

  * One.
  * A line that is long enough to be wrapped at the width that Debian has, once
    joined with what follows it.

 -- X <x@example.com>  Tue, 03 Feb 2026 04:05:06 +0000

mta-sts-daemon (0.1.0) unstable; urgency=medium

  * First.

 -- X <x@example.com>  Sat, 31 Jan 2026 00:00:00 +0000
`
	if d := cmp.Diff(want, string(got)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if _, err := debianChangelog([]byte("# Changelog\n"), release{}); err == nil {
		t.Error("a changelog without sections was accepted")
	}
}

func TestBillOfMaterials(t *testing.T) {
	t.Parallel()
	got, err := billOfMaterials(licence{id: "MIT"}, []module{{"a.example/m", "v1.2.3", licence{id: "MPL-2.0 AND MIT"}}},
		release{version: "0.1.0", date: time.Unix(0, 0).UTC()})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{
  "bomFormat": "CycloneDX",
  "specVersion": "1.6",
  "version": 1,
  "metadata": {
    "timestamp": "1970-01-01T00:00:00Z",
    "component": {
      "type": "application",
      "bom-ref": "mta-sts-daemon",
      "name": "mta-sts-daemon",
      "version": "0.1.0",
      "licenses": [
        {
          "expression": "MIT"
        }
      ]
    }
  },
  "components": [
    {
      "type": "library",
      "bom-ref": "pkg:golang/a.example/m@v1.2.3",
      "name": "a.example/m",
      "version": "v1.2.3",
      "purl": "pkg:golang/a.example/m@v1.2.3",
      "licenses": [
        {
          "expression": "MPL-2.0 AND MIT"
        }
      ]
    }
  ]
}`
	if d := cmp.Diff(want, string(got)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
