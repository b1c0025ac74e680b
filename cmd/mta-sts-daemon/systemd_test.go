package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
)

// systemd LOG NAME=SOCKET… -- COMMAND… runs a command as systemd runs a service
// of Type=notify: it holds unix sockets for it, sets a watchdog of 1.5 seconds,
// and writes the notifications it receives to LOG.
func systemd() {
	args := os.Args[1:]
	split := slices.Index(args, "--")
	var names []string
	cmd := exec.Command("sh", append([]string{"-c", `LISTEN_PID=$$ exec "$@"`, "sh"}, args[split+1:]...)...)
	for _, arg := range args[1:split] {
		name, path, _ := strings.Cut(arg, "=")
		l, err := net.Listen("unix", path)
		check(err)
		file, err := l.(*net.UnixListener).File()
		check(err)
		names = append(names, name)
		cmd.ExtraFiles = append(cmd.ExtraFiles, file)
	}

	log, err := os.Create(args[0])
	check(err)
	told, err := filepath.Abs("notify")
	check(err)
	os.Remove(told) // of one before
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: told, Net: "unixgram"})
	check(err)
	const last = "of this command's own, behind all that the other said"
	written := make(chan struct{})
	go func() {
		defer close(written)
		message := make([]byte, 4096)
		for {
			n, err := notify.Read(message)
			check(err)
			if string(message[:n]) == last {
				return
			}
			fmt.Fprintf(log, "%s\n", message[:n])
		}
	}()

	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+told, "WATCHDOG_USEC=1500000",
		fmt.Sprintf("LISTEN_FDS=%d", len(names)), "LISTEN_FDNAMES="+strings.Join(names, ":"))
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // a script that fails leaves nothing behind
	runtime.LockOSThread()                                             // which Pdeathsig is about
	check(cmd.Start())
	go func() { cmd.Process.Signal(<-signals) }()
	outcome := cmd.Wait()
	own, err := net.Dial("unixgram", told)
	check(err)
	fmt.Fprint(own, last)
	<-written
	check(outcome)
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "systemd:", err)
		os.Exit(1)
	}
}
