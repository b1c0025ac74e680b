// The program mta-sts-daemon answers Postfix's TLS policy lookups from the
// MTA-STS policies of recipient domains (RFC 8461).
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// exitStatus is an error that ends the program with this status. Everything about
// it has been printed already.
type exitStatus int

func (s exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is the whole program; its result is the exit status.
func run(args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(context.Background())
	var status exitStatus
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	}
	fmt.Fprintf(stderr, "mta-sts-daemon: %v\n", err)
	if _, ok := errors.AsType[errUsage](err); ok {
		return exitUsage
	}
	return 1
}
