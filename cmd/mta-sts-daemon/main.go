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
	out := &output{Writer: stdout}
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(stderr)
	err := root.ExecuteContext(context.Background())
	if err == nil {
		err = out.err
	}
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

// output is the standard output of a command. It keeps the first error, because most
// commands do not check the errors of their prints.
type output struct {
	io.Writer
	err error
}

func (o *output) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if o.err == nil {
		o.err = err
	}
	return n, err
}

// Fd returns the file descriptor, as *os.File does; one that does not exist if the output is
// no file.
func (o *output) Fd() uintptr {
	if file, ok := o.Writer.(*os.File); ok {
		return file.Fd()
	}
	return ^uintptr(0)
}
