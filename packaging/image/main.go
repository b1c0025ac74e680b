// The program image puts built programs into an image for containers, without a base image.
// "make image" runs it. Equal inputs give equal archives.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	var b build
	var arches, first string
	flag.StringVar(&b.version, "version", "", "the `version`, which becomes the tag")
	flag.StringVar(&b.authorities, "authorities", "", "the PEM `file` of certificate authorities")
	flag.StringVar(&arches, "arches", "", "the `GOARCH`s, with blanks: the programs and documents of each are in DIR/stage-GOARCH")
	flag.StringVar(&first, "arch", "", "the `GOARCH` for engines that read one alone")
	epoch := flag.Int64("date", 0, "the time of all files, `seconds` since 1970")
	flag.Parse()
	b.date = time.Unix(*epoch, 0).UTC()
	if err := run(flag.Arg(0), b, strings.Fields(arches), first); err != nil {
		fmt.Fprintf(os.Stderr, "image: %v\n", err)
		os.Exit(1)
	}
}

// A build is what all architectures have in common.
type build struct {
	version     string
	authorities string
	date        time.Time
}

// run writes the archive into dir.
func run(dir string, b build, arches []string, first string) error {
	a := newArchive(b.date)
	name := "mta-sts-daemon:" + tag(b.version)
	for _, arch := range arches {
		layer, err := b.layer(filepath.Join(dir, "stage-"+arch))
		if err != nil {
			return err
		}
		if err := a.add(b.image(arch), layer, arch == first, name); err != nil {
			return err
		}
		fmt.Printf("%s for %s: %.1f MB compressed\n", name, arch, float64(len(layer.compressed))/1e6)
	}
	file, err := os.Create(filepath.Join(dir, "mta-sts-daemon.tar"))
	if err != nil {
		return err
	}
	defer file.Close()
	if err := a.write(file, name); err != nil {
		return err
	}
	return file.Close()
}

// tag makes a version fit for a tag, which may not have the ~ of a package's 1.2.3~rc1.
func tag(version string) string {
	return strings.NewReplacer("~", "-", "+", "-").Replace(version)
}
