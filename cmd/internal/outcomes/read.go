package outcomes

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// maxLine is how long a line may be, in bytes; the rest of a longer one is left
// out.
const maxLine = 64 << 10

// Stdin is the name of the standard input among those of files.
const Stdin = "-"

// ReadFiles counts the lines of log files, compressed by gzip or not, in the order
// of their rotation, whatever the order of names is. An error names the file.
func ReadFiles(ctx context.Context, t *Tally, names []string) error {
	for _, name := range inRotationOrder(names) {
		if err := readFile(ctx, t, name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// Rotated returns the log file name and those that were rotated from it, as far as
// they can be read here.
func Rotated(name string) []string {
	names := []string{name}
	others, _ := filepath.Glob(escapeGlob(name) + `[.\-]*`) // the pattern is well-formed
	for _, other := range others {
		if rotationOf(other).base == name {
			names = append(names, other)
		}
	}
	return names
}

// Unreadable returns the log files that were rotated from name, but are compressed
// in a way that is not read here.
func Unreadable(name string) (names []string) {
	others, _ := filepath.Glob(escapeGlob(name) + `[.\-]*`) // the pattern is well-formed
	for _, other := range others {
		plain := strings.TrimSuffix(other, filepath.Ext(other))
		if slices.Contains(foreignExtensions, filepath.Ext(other)) && plain != name && rotationOf(plain).base == name {
			names = append(names, other)
		}
	}
	return names
}

// escapeGlob makes a pattern of a file's name.
func escapeGlob(name string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(name)
}

// rotation is a file's place in the rotation of base.
type rotation struct {
	base string
	// age grows with the number at the end of the name; 0 is the file that is
	// written to.
	age int
	// date is the end of the name if files are named by date.
	date string
}

// rotationOf reads mail.log, mail.log.1, mail.log.2.gz, mail.log-20261122.gz and
// mail.log.20261122-000001, as Postfix's own logrotate names them.
func rotationOf(name string) rotation {
	plain := strings.TrimSuffix(name, ".gz")
	i := strings.LastIndexAny(plain, ".-")
	if strings.Contains(plain[i+1:], "/") {
		return rotation{base: plain}
	}
	if i <= 0 || !isNumber(plain[i+1:]) {
		return rotation{base: plain}
	}
	// A date may have a time behind it.
	if j := strings.LastIndexAny(plain[:i], ".-"); j > 0 && isDate(plain[j+1:i]) {
		return rotation{base: plain[:j], date: plain[j+1:]}
	}
	if isDate(plain[i+1:]) {
		return rotation{base: plain[:i], date: plain[i+1:]}
	}
	if age, err := strconv.Atoi(plain[i+1:]); err == nil && plain[i] == '.' {
		return rotation{base: plain[:i], age: age}
	}
	return rotation{base: plain}
}

// isDate reports whether s is a day as 20261122.
func isDate(s string) bool { return len(s) == len("20261122") && isNumber(s) }

// inRotationOrder sorts the files of each rotation, oldest first, and leaves the
// rotations in the order in which they are named.
func inRotationOrder(names []string) []string {
	first := make(map[string]int)
	for i, name := range names {
		base := rotationOf(name).base
		if _, ok := first[base]; !ok {
			first[base] = i
		}
	}
	sorted := slices.Clone(names)
	slices.SortStableFunc(sorted, func(x, y string) int {
		a, b := rotationOf(x), rotationOf(y)
		current := func(r rotation) int { // files with a date come before the one that is written to
			if r.date == "" {
				return 1
			}
			return 0
		}
		return cmp.Or(cmp.Compare(first[a.base], first[b.base]), cmp.Compare(current(a), current(b)),
			cmp.Compare(a.date, b.date), cmp.Compare(b.age, a.age))
	})
	return sorted
}

func readFile(ctx context.Context, t *Tally, name string) error {
	if name == Stdin {
		return readAll(ctx, t, os.Stdin)
	}
	f, err := os.Open(name)
	if err != nil {
		if inner, ok := errors.AsType[*os.PathError](err); ok {
			err = inner.Err
		}
		return err
	}
	defer f.Close()
	return readAll(ctx, t, f)
}

// How compressed files begin.
var (
	gzipMagic = []byte{0x1f, 0x8b}
	// foreignMagic are those of xz, zstd and bzip2, which are not read.
	foreignMagic = map[string][]byte{
		"xzcat":   {0xfd, '7', 'z', 'X', 'Z', 0},
		"zstdcat": {0x28, 0xb5, 0x2f, 0xfd},
		"bzcat":   {'B', 'Z', 'h'},
	}
	// foreignExtensions are those of the names that such files have.
	foreignExtensions = []string{".xz", ".zst", ".bz2"}
)

func readAll(ctx context.Context, t *Tally, r io.Reader) error {
	in := bufio.NewReaderSize(r, maxLine)
	begin, err := in.Peek(8)
	if err != nil && err != io.EOF {
		return err
	}
	for program, magic := range foreignMagic {
		if bytes.HasPrefix(begin, magic) {
			return fmt.Errorf("this compression is not read here: %s FILE | mta-sts-daemon outcomes -", program)
		}
	}
	if bytes.HasPrefix(begin, gzipMagic) {
		unzipped, err := gzip.NewReader(in)
		if err != nil {
			return err
		}
		in = bufio.NewReaderSize(unzipped, maxLine)
	}
	return eachLine(ctx, in, t.Line)
}

// eachLine hands lines on without their ends, the last one even if it has none.
func eachLine(ctx context.Context, in *bufio.Reader, take func(string)) error {
	for ctx.Err() == nil {
		line, err := in.ReadSlice('\n')
		if len(line) > 0 {
			take(string(bytes.TrimSuffix(line, []byte{'\n'})))
		}
		for err == bufio.ErrBufferFull {
			_, err = in.ReadSlice('\n')
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}
