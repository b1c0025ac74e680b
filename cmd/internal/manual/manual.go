// Package manual writes the documents that are made of the program's own
// definitions: the manual pages, of its commands and the keys of its
// configuration; the completions of the shells; and the example configuration.
package manual

import (
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"mta-sts-daemon/config"
)

// The names of the pages.
const (
	program    = "mta-sts-daemon"
	configPage = "mta-sts-daemon.yaml"
)

// Edition is the version and date in the pages.
type Edition struct {
	Version string
	Date    time.Time // zero: none is named
}

// Write puts the documents of the program, whose root command is root, into the
// directory dir, which it makes:
//
//	mta-sts-daemon.8  mta-sts-daemon.yaml.5  config.yaml
//	mta-sts-daemon.bash  mta-sts-daemon.zsh  mta-sts-daemon.fish
func Write(dir string, root *cobra.Command, e Edition) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, d := range []struct {
		name  string
		write func(io.Writer) error
	}{
		{program + ".8", text(commandsPage(root, e))},
		{configPage + ".5", text(keysPage(config.Keys(), e))},
		{"config.yaml", text(config.Example())},
		{program + ".bash", func(w io.Writer) error { return root.GenBashCompletionV2(w, true) }},
		{program + ".zsh", root.GenZshCompletion},
		{program + ".fish", func(w io.Writer) error { return root.GenFishCompletion(w, true) }},
	} {
		if err := writeFile(filepath.Join(dir, d.name), d.write); err != nil {
			return err
		}
	}
	return nil
}

func text(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

func writeFile(name string, write func(io.Writer) error) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	if err := write(f); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
