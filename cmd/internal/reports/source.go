package reports

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Limits of files.
const (
	maxMessage = 32 << 20 // bytes of a mail
	maxMailbox = 1 << 30  // bytes that come out of gzip
)

// Read reads a file, or all files below a directory such as a Maildir. It adds a problem to
// the summary for each that cannot be read. Files below a directory need not be reports.
func (c *Collector) Read(name string) {
	c.expect(name, func() {
		if info, err := os.Stat(name); err != nil {
			c.problem(name, reasonOf(err))
		} else if info.IsDir() {
			c.directory(name)
		} else {
			c.file(name, true)
		}
	})
}

// ReadStream reads r like a file of that name.
func (c *Collector) ReadStream(name string, r io.Reader) {
	c.expect(name, func() { c.stream(name, r, true) })
}

// expect notes a problem if read finds nothing.
func (c *Collector) expect(name string, read func()) {
	before := c.found()
	if read(); c.found() == before {
		c.problem(name, "no TLS report is in it")
	}
}

// found returns the number of reports, with the duplicates and the older ones, and of
// problems.
func (c *Collector) found() int { return c.counted + c.duplicates + c.older + c.numProblems }

// reasonOf leaves the file's name out of an error.
func reasonOf(err error) string {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return "it is truncated"
	}
	if inner, ok := errors.AsType[*fs.PathError](err); ok {
		err = inner.Err
	}
	return err.Error()
}

func (c *Collector) directory(root string) {
	_ = fs.WalkDir(os.DirFS(root), ".", func(path string, d fs.DirEntry, err error) error {
		name := filepath.Join(root, path)
		switch {
		case err != nil:
			c.problem(name, reasonOf(err))
		case d.IsDir() && d.Name() == "tmp":
			return fs.SkipDir // messages of a Maildir that are still being written
		case d.Type().IsRegular():
			c.file(name, false)
		}
		return nil
	})
}

func (c *Collector) file(name string, given bool) {
	f, err := os.Open(name)
	if err != nil {
		c.problem(name, reasonOf(err))
		return
	}
	defer f.Close()
	c.stream(name, f, given)
}

var (
	gzipMagic = []byte{0x1f, 0x8b}
	mboxFrom  = []byte("From ") // begins each message of a mailbox, mbox(5)
)

// stream reads one file. If it is not given, but below a directory, it need not be a report.
func (c *Collector) stream(name string, r io.Reader, given bool) {
	in := bufio.NewReader(r)
	if start, _ := in.Peek(len(gzipMagic)); bytes.Equal(start, gzipMagic) {
		unzipped, err := gzip.NewReader(in)
		if err != nil {
			c.problem(name, reasonOf(err))
			return
		}
		limited := &io.LimitedReader{R: unzipped, N: maxMailbox}
		in = bufio.NewReader(limited)
		defer func() {
			if limited.N == 0 {
				c.problem(name, fmt.Sprintf("more than %d MiB come out of gzip, the rest is left out", maxMailbox>>20))
			}
		}()
	}
	if kind := archive(in); kind != "" && given {
		c.problem(name, "it is a "+kind+" archive: unpack it first")
		return
	}
	if start, _ := in.Peek(len(mboxFrom)); bytes.Equal(start, mboxFrom) {
		c.mailbox(name, in)
		return
	}
	data, err := io.ReadAll(io.LimitReader(in, maxMessage+1))
	if len(data) > maxMessage {
		c.problem(name, fmt.Sprintf("more than %d MiB", maxMessage>>20))
		return
	}
	before := c.found()
	if isJSON(data) {
		c.json(name, data)
	} else {
		c.message(name, data)
	}
	// An error after a complete report does not matter, for example bytes after the end of gzip.
	if err != nil && c.found() == before {
		c.problem(name, reasonOf(err))
	}
}

// archive returns the kind of archive that in has; "" for another file.
func archive(in *bufio.Reader) string {
	const ustarAt = 257 // tar(5)
	start, _ := in.Peek(ustarAt + len("ustar"))
	switch {
	case bytes.HasPrefix(start, []byte("PK\x03\x04")):
		return "zip"
	case len(start) > ustarAt && string(start[ustarAt:]) == "ustar":
		return "tar"
	}
	return ""
}

// isJSON reports whether data begins like a JSON object or list, and so is no message.
func isJSON(data []byte) bool {
	data = trim(data)
	return len(data) > 0 && (data[0] == '{' || data[0] == '[')
}

// trim leaves out what may precede JSON: blanks and the byte order mark.
func trim(data []byte) []byte {
	return bytes.TrimSpace(bytes.TrimPrefix(bytes.TrimSpace(data), []byte("\ufeff")))
}

// json counts the reports in JSON.
func (c *Collector) json(name string, data []byte) {
	err := decode(trim(data), func(r report) { c.add(name, r) })
	if err != nil && !errors.Is(err, errNoReport) {
		c.problem(name, reasonOf(err))
	}
}

// mailbox reads messages that each begin with a From line after an empty line.
func (c *Collector) mailbox(name string, in *bufio.Reader) {
	var message bytes.Buffer
	number, size := 0, 0
	end := func() {
		if number++; size > maxMessage {
			c.problem(name, fmt.Sprintf("message %d has more than %d MiB", number, maxMessage>>20))
		} else {
			c.message(fmt.Sprintf("%s, message %d", name, number), message.Bytes())
		}
		message.Reset()
		size = 0
	}
	newLine, empty := true, false // line is the beginning of a line; the line before it is empty
	for {
		line, err := in.ReadSlice('\n')
		if newLine && bytes.HasPrefix(line, mboxFrom) && empty {
			end()
		}
		if size += len(line); size <= maxMessage {
			message.Write(line)
		}
		empty = newLine && len(bytes.TrimRight(line, "\r\n")) == 0
		newLine = err == nil
		if err == nil || err == bufio.ErrBufferFull {
			continue
		}
		end()
		if err != io.EOF {
			c.problem(name, reasonOf(err))
		}
		return
	}
}
