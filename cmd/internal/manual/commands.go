package manual

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// commandsPage is the manual page of the program, section 8.
func commandsPage(root *cobra.Command, e Edition) string {
	p := newPage(program, "8", e)
	p.heading("NAME")
	p.paragraphs(program + " - " + lowerFirst(root.Short))
	p.heading("SYNOPSIS")
	p.macro("B", program)
	p.paragraphs("[OPTION...] [COMMAND [ARGUMENT...]]")
	p.heading("DESCRIPTION")
	p.paragraphs(root.Long)
	p.heading("OPTIONS")
	p.flags(root.PersistentFlags())
	p.heading("COMMANDS")
	p.commands(root)
	p.operation()
	return p.String()
}

// commands describes the subcommands of parent, each with its own flags.
func (p *page) commands(parent *cobra.Command) {
	for _, c := range parent.Commands() {
		if !c.IsAvailableCommand() || c.Name() == "help" {
			continue
		}
		_, usage, _ := strings.Cut(c.UseLine(), " ") // without the program's name
		p.subheading(strings.TrimSuffix(usage, " [flags]"))
		if c.Long == "" {
			p.paragraphs(c.Short + ".")
		} else {
			p.paragraphs(c.Long)
		}
		p.flags(c.LocalNonPersistentFlags())
		p.commands(c)
	}
}

func (p *page) flags(flags *pflag.FlagSet) {
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		argument, about := pflag.UnquoteUsage(f)
		term := "--" + f.Name
		if f.Shorthand != "" {
			term = "-" + f.Shorthand + ", " + term
		}
		if argument != "" {
			term += " " + argument
		}
		if !slices.Contains([]string{"", "0", "false"}, f.DefValue) {
			about += " (default " + f.DefValue + ")"
		}
		p.item(term, upperFirst(about)+".")
	})
}

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }
func upperFirst(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
