package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

// terminal COMMAND… runs a command whose standard error is a terminal of 60
// columns, and prints what it shows there.
func terminal() {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	check(err)
	fd := int(master.Fd())
	check(unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	check(err)
	check(unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 60}))
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	check(err)
	cmd := exec.Command(os.Args[1], os.Args[2:]...)
	cmd.Stderr = slave
	check(cmd.Run())
	slave.Close()
	shown, _ := io.ReadAll(master) // until EIO, when nobody has it open any more
	os.Stdout.Write(shown)
}
