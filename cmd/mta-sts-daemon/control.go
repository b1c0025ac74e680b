package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"mta-sts-daemon/cmd/internal/admin"
	"mta-sts-daemon/cmd/internal/layout"
	"mta-sts-daemon/config"
)

// connect returns a client of the running daemon. If the configuration has
// errors, the daemon still runs with the previous one: the valid part of the
// configuration gives the path of its control socket.
func connect(load func() (config.Config, error)) *admin.Client {
	cfg, err := load()
	return admin.NewClient(admin.Find(cfg.Admin), err)
}

// exitFailed is the exit status of a command that failed, and exitUnasked of a
// command that could not reach the daemon.
const (
	exitFailed  exitStatus = 1
	exitUnasked exitStatus = 2
)

// failure prints an error and returns the exit status for it.
func failure(cmd *cobra.Command, err error) error {
	cmd.PrintErrln("mta-sts-daemon:", err)
	if admin.Unreachable(err) {
		return exitUnasked
	}
	return exitFailed
}

// jsonFlag gives a command the flag that all have that print something to read.
func jsonFlag(cmd *cobra.Command, place *bool) {
	cmd.Flags().BoolVar(place, "json", false, "print JSON")
}

// showsProgress reports whether stderr is a terminal on which a line can be replaced.
func showsProgress(stderr io.Writer) bool {
	file, ok := stderr.(*os.File)
	return ok && term.IsTerminal(int(file.Fd())) && !layout.IsDumb()
}

func printJSON(cmd *cobra.Command, value any) error {
	return layout.WriteJSON(cmd.OutOrStdout(), value)
}

// when writes a time for a person, and how far off it is.
func when(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	text := t.UTC().Format("2006-01-02 15:04 MST")
	if t.Before(now) {
		return fmt.Sprintf("%s (%s ago)", text, span(now.Sub(t)))
	}
	return fmt.Sprintf("%s (in %s)", text, span(t.Sub(now)))
}

// date writes a time for a person.
func date(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// span writes a duration to its two largest units.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d >= day:
		return fmt.Sprintf("%dd %dh", d/day, d%day/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh %dmin", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%dmin", d/time.Minute)
	default:
		return fmt.Sprintf("%ds", d/time.Second)
	}
}
