package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

// openTerminal opens a terminal of 60 columns.
func openTerminal() (master, slave *os.File) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	check(err)
	fd := int(master.Fd())
	check(unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	check(err)
	check(unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 60}))
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	check(err)
	return master, slave
}

// terminal COMMAND… runs a command whose standard error is a terminal of 60
// columns, and prints the output that reaches it.
func terminal() {
	master, slave := openTerminal()
	cmd := exec.Command(os.Args[1], os.Args[2:]...)
	cmd.Stderr = slave
	check(cmd.Run())
	slave.Close()
	shown, _ := io.ReadAll(master) // until EIO, when nobody has it open any more
	os.Stdout.Write(shown)
}

// typing TEXT COMMAND… runs a command whose standard input is a terminal on which TEXT
// is typed, and exits as it does.
func typing() {
	master, slave := openTerminal()
	_, err := io.WriteString(master, os.Args[1]+"\n")
	check(err)
	cmd := exec.Command(os.Args[2], os.Args[3:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, os.Stdout, os.Stderr
	err = cmd.Run()
	if cmd.ProcessState == nil {
		check(err)
	}
	os.Exit(cmd.ProcessState.ExitCode())
}
