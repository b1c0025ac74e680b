package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"mta-sts-daemon/cmd/internal/admin"
	"mta-sts-daemon/config"
)

func newReload(load func() (config.Config, error)) *cobra.Command {
	return &cobra.Command{
		Use:   "reload",
		Short: "Make the running daemon load its configuration again",
		Long: `reload makes the running daemon load its configuration again, and waits for the result.
If the daemon refuses the configuration, the old one stays in force; reload prints the
reason and exits with 1. It exits with 2 if no daemon could be asked.

It asks at the control socket that the configuration names. If admin.socket itself was
changed, use "systemctl reload mta-sts-daemon", or send the daemon SIGHUP.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			done, err := connect(load).Reload(cmd.Context())
			if errors.Is(err, admin.ErrNotRunning) {
				// A configuration with a fault may not even name the socket.
				if _, fault := load(); fault == nil && hangUp() {
					cmd.Println("Nobody answers at the control socket, which may be new: SIGHUP was sent, and the log has the result.")
					return nil
				}
			}
			if err != nil {
				return failure(cmd, err)
			}
			if len(done.NeedRestart) > 0 {
				cmd.Printf("Loaded, but a restart is needed for: %s\n", strings.Join(done.NeedRestart, ", "))
				return nil
			}
			cmd.Println("Loaded.")
			return nil
		},
	}
}

// hangUp sends SIGHUP to the daemon if systemd runs this command (ExecReload=), which names
// its process. It returns false without one. The process of another unit that runs this command
// is another program, which SIGHUP may end.
func hangUp() bool {
	pid, err := strconv.Atoi(os.Getenv("MAINPID"))
	if err != nil || pid <= 0 {
		return false
	}
	// The name as ps shows it: unlike the path of the program, an upgrade does not change it.
	// The sandbox of the shipped unit hides the process; there kill reaches only those of the
	// same user.
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	own, _ := os.ReadFile("/proc/self/comm")
	return (err != nil || bytes.Equal(name, own)) && syscall.Kill(pid, syscall.SIGHUP) == nil
}
