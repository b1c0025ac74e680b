// The program documents writes the documents about a package's contents: Debian's
// changelog and copyright, the texts of all licences, and a bill of materials.
// "make packages" runs it.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

const program = "mta-sts-daemon"

// release is the release that the documents are about.
type release struct {
	version    string
	date       time.Time
	maintainer string // "Name <mail address>"
}

func main() {
	var r release
	flag.StringVar(&r.version, "version", "", "the package's `version`")
	flag.StringVar(&r.maintainer, "maintainer", "", "who publishes the package, `name <address>`")
	epoch := flag.Int64("date", 0, "when it is published, `seconds` since 1970")
	arch := flag.String("arch", "", "whose program it has, a `GOARCH`")
	flag.Parse()
	r.date = time.Unix(*epoch, 0).UTC()
	if err := run(flag.Arg(0), r, *arch); err != nil {
		fmt.Fprintf(os.Stderr, "documents: %v\n", err)
		os.Exit(1)
	}
}

// run writes the documents into dir. It works in the project's top directory.
func run(dir string, r release, arch string) error {
	modules, err := linked(arch)
	if err != nil {
		return err
	}
	own, err := readLicence(".")
	if err != nil {
		return err
	}
	history, err := os.ReadFile("CHANGELOG.md")
	if err != nil {
		return err
	}
	changelog, err := debianChangelog(history, r)
	if err != nil {
		return err
	}
	bill, err := billOfMaterials(own, modules, r)
	if err != nil {
		return err
	}
	for name, text := range map[string][]byte{
		"changelog":     changelog,
		"copyright":     debianCopyright(own, modules),
		"LICENSES":      allLicences(own, modules),
		"sbom.cdx.json": bill,
	} {
		text = append(bytes.TrimRight(text, "\n"), '\n')
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
