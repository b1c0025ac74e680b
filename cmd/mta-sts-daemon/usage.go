package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"mta-sts-daemon/resolver/printable"
	"mta-sts-daemon/socketmap/tlspolicy"
)

// exitUsage is the exit status of a command line that cannot be understood, EX_USAGE of
// sysexits(3).
const exitUsage = 64

// errUsage is a mistake in the command line.
type errUsage struct{ reason string }

func (e errUsage) Error() string { return e.reason }

func usageError(format string, args ...any) error { return errUsage{fmt.Sprintf(format, args...)} }

// noArgs is for commands without arguments.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError("%s takes no arguments, got %s", cmd.Name(), printable.Quote(args[0]))
	}
	return nil
}

// oneArg is for commands that need one argument, named as in the usage line.
func oneArg(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch len(args) {
		case 0:
			return usageError("%s needs an argument: %s %s", cmd.Name(), cmd.CommandPath(), name)
		case 1:
			return nil
		}
		return usageError("%s takes one argument, got %d", cmd.Name(), len(args))
	}
}

// someArgs is for commands that need at least one argument.
func someArgs(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usageError("%s needs an argument: %s %s", cmd.Name(), cmd.CommandPath(), name)
		}
		return nil
	}
}

// atMostOneArg is for commands whose one argument may be left out.
func atMostOneArg(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usageError("%s takes one argument at most, got %d", cmd.Name(), len(args))
	}
	return nil
}

// noCommand is for the root command: any argument is meant as a command.
func noCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	text := printable.Quote(args[0]) + " is no command"
	if near := nearest(root, args[0]); near != "" {
		return usageError("%s; did you mean %s?", text, near)
	}
	if _, ok := tlspolicy.ParseKey(args[0]); ok {
		return usageError("%s; to look at mail to %s: %s query %s", text, args[0], root.Name(), args[0])
	}
	return usageError("%s; %s --help lists them", text, root.Name())
}

// knownCommand is for help: its arguments are a command.
func knownCommand(help *cobra.Command, args []string) error {
	found, rest, err := help.Root().Find(args)
	if err != nil || found == help.Root() {
		return noCommand(help.Root(), args)
	}
	if len(rest) > 0 {
		return usageError("help takes one command, got %s after %s", printable.Quote(rest[0]), found.Name())
	}
	return nil
}

// notDomain is the error for an argument that is to be a domain.
func notDomain(arg string) error {
	text := printable.Quote(arg) + " is not a domain that can have a policy"
	if _, domain, ok := strings.Cut(arg, "@"); ok {
		if _, ok := tlspolicy.ParseKey(domain); ok {
			text += "; of an address, give the domain alone: " + domain
		}
	}
	return errUsage{text}
}

// flagError explains in plain words the error of a flag.
func flagError(cmd *cobra.Command, err error) error {
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		name := unknown.GetSpecifiedName()
		if unknown.GetSpecifiedShortnames() != "" {
			return usageError("%s has no flag -%s", cmd.Name(), printable.Line(name, maxShown))
		}
		text := fmt.Sprintf("%s has no flag --%s", cmd.Name(), printable.Line(name, maxShown))
		flags := &cobra.Command{} // borrows the search for near commands
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			flags.AddCommand(&cobra.Command{Use: "--" + f.Name, Run: func(*cobra.Command, []string) {}})
		})
		if near := nearest(flags, "--"+name); near != "" {
			text += "; did you mean " + near + "?"
		}
		return errUsage{text}
	}
	if missing, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		return usageError("--%s needs a value", missing.GetFlag().Name)
	}
	if invalid, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		text := fmt.Sprintf("--%s: %s is not valid", invalid.GetFlag().Name, printable.Quote(invalid.GetValue()))
		switch invalid.GetFlag().Value.Type() {
		case "int":
			text += ", want a whole number"
		case "bool":
			text += ", want true or false"
		case "duration":
			text += ", want a time span such as 90m, 12h or 7d"
		}
		return errUsage{text}
	}
	return errUsage{printable.Line(err.Error(), maxShown)}
}

// maxShown limits the part of the command line that a message repeats, in bytes.
const maxShown = 200

// nearest returns the commands of parent whose names are like name; "" if no name
// is.
func nearest(parent *cobra.Command, name string) string {
	parent.SuggestionsMinimumDistance = 2
	near := parent.SuggestionsFor(name)
	return strings.Join(near, " or ")
}
