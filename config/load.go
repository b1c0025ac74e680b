package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"gopkg.in/yaml.v3"
)

// maxFileLen bounds a configuration file, in bytes; thousands of overrides fit.
const maxFileLen = 1 << 20

// Load reads and parses the file at path, which must exist: whether a missing one means
// Parse without text is for the caller to decide, by errors.Is(err, fs.ErrNotExist). The
// Config that comes with an error is as Parse describes it.
func Load(path string, environ []string) (Config, error) {
	text, err := read(path)
	if err != nil {
		c, _ := Parse("", nil, environ)
		return c, err
	}
	return Parse(path, text, environ)
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	// One byte too many lets Parse see that the file is too long.
	return io.ReadAll(io.LimitReader(f, maxFileLen+1))
}

// Parse makes a checked Config of a file's text and of environ, in the form of os.Environ,
// whose variables take precedence: MTA_STS_DNS_SERVERS sets dns.servers. What both leave out
// is as in Default. The name of the file is for messages alone. The error joins an *Error for
// each fault found: those of the file in the order of their lines, then those of variables.
// The Config that comes with an error has the valid values, else the defaults. It must not
// be served; commands use it to find the control socket of a running daemon.
func Parse(file string, text []byte, environ []string) (Config, error) {
	r := &report{file: file}
	c := Default()
	if root := readYAML(r, text); root != nil {
		schema(&c).decode(r, "", root)
	}
	return c, errors.Join(r.err(), c.setFrom(environ))
}

// readYAML returns the root node of text, or nil if text is empty or a fault
// was reported.
func readYAML(r *report, text []byte) *yaml.Node {
	if line, reason := unreadable(text); reason != "" {
		r.fail(line, "", "%s", reason)
		return nil
	}
	docs, err := documents(text)
	switch {
	case err != nil:
		line, reason := syntaxError(text, err)
		r.fail(line, "", "%s", reason)
		return nil
	case len(docs) > 1:
		r.fail(docs[1].Line, "", "a second YAML document; only one is allowed")
		return nil
	case len(docs) == 0:
		return nil
	}
	root := docs[0].Content[0]
	if isNull(root) && root.Value == "" {
		return nil // "---" and comments
	}
	if !onlyPlain(r, root) {
		return nil
	}
	return root
}

// documents parses text up to its second document.
func documents(text []byte) ([]*yaml.Node, error) {
	var docs []*yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(text))
	for len(docs) < 2 {
		// Decoding into a Node expands no alias.
		n := new(yaml.Node)
		err := d.Decode(n)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("not YAML: %s", libraryReason(err))
		}
		docs = append(docs, n)
	}
	return docs, nil
}

// onlyPlain reports the parts of YAML that a configuration has no use for. An
// alias would also make a small file large.
func onlyPlain(r *report, n *yaml.Node) bool {
	ok := true
	refuse := func(what string) {
		r.fail(n.Line, "", "%s are not supported; write the value out", what)
		ok = false
	}
	switch {
	case n.Kind == yaml.AliasNode:
		refuse("YAML aliases (*name)")
	case n.Anchor != "":
		refuse("YAML anchors (&name)")
	case n.Tag == "!!merge":
		refuse("YAML merge keys (<<)")
	case n.Style&yaml.TaggedStyle != 0:
		refuse("YAML tags (!name)")
	}
	for _, c := range n.Content {
		ok = onlyPlain(r, c) && ok
	}
	return ok
}
