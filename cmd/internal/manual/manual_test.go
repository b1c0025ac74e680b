package manual

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"mta-sts-daemon/config"
)

// program of two commands, one of which has another below it, and one that
// nobody is to see.
func tree() *cobra.Command {
	run := func(*cobra.Command, []string) {}
	root := &cobra.Command{Use: "prog", Short: "Do things", Long: "prog does things.", Run: run}
	root.PersistentFlags().StringP("config", "c", "", "configuration `file`")
	look := &cobra.Command{Use: "look NAME", Short: "Look", Long: "look looks.\n\nIt exits.", Run: run}
	look.Flags().Bool("json", false, "print JSON")
	look.Flags().Int("rate", 10, "at most `n` looks a second")
	look.Flags().Bool("secret", false, "nothing")
	if err := look.Flags().MarkHidden("secret"); err != nil {
		panic(err)
	}
	look.AddCommand(&cobra.Command{Use: "twice", Short: "Look again", Run: run})
	root.AddCommand(look, &cobra.Command{Use: "hide", Hidden: true, Run: run})
	root.InitDefaultHelpCmd()
	return root
}

func TestCommands(t *testing.T) {
	t.Parallel()
	page := commandsPage(tree(), Edition{})
	_, page, _ = strings.Cut(page, ".SH \"OPTIONS\"\n")
	page, _, _ = strings.Cut(page, ".SH \"POSTFIX\"\n")
	const want = `.TP
.B "\-c, \-\-config file"
Configuration file.
.SH "COMMANDS"
.SS "look NAME"
look looks.
.PP
It exits.
.TP
.B "\-\-json"
Print JSON.
.TP
.B "\-\-rate n"
At most n looks a second (default 10).
.SS "look twice"
Look again.
`
	if d := cmp.Diff(want, page); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	page := keysPage([]config.Key{
		{Name: "empty", Section: true},
		{Name: "told", Section: true, About: "Section.", Restart: true},
		{Name: "told.key", About: "Key.", Values: "1 or 2", Default: `"1"`, Restart: true},
		{Name: "alone", About: "Alone.", Values: "yes or no", Default: "no"},
	}, Edition{})
	_, page, _ = strings.Cut(page, ".SH \"KEYS\"\n")
	page, _, _ = strings.Cut(page, ".SH")
	const want = `.TP
.B "told"
Section. Needs a restart.
.TP
.B "told.key: \(dq1\(dq"
Key.
.IP
Values: 1 or 2. Needs a restart.
.TP
.B "alone: no"
Alone.
.IP
Values: yes or no.
`
	if d := cmp.Diff(want, page); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestWrite(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new")
	if err := Write(dir, tree(), Edition{Version: "1.2"}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"mta-sts-daemon.8":      `.SS "look twice"`,
		"mta-sts-daemon.yaml.5": `.B "recheck_wait: 500ms"`,
		"config.yaml":           "#recheck_wait: 500ms",
		"mta-sts-daemon.bash":   "complete -o default -F __start_prog prog",
		"mta-sts-daemon.zsh":    "#compdef prog",
		"mta-sts-daemon.fish":   "complete -c prog",
	} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: %v, lacks %s", name, err, want)
		}
	}
}

func TestWriteFails(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Write(file, tree(), Edition{}); err == nil {
		t.Error("a file was taken for a directory")
	}
}
