// Package proc runs programs, each on a processor of its own, and reads their
// cost from /proc.
package proc

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// clockTick is the unit of times in /proc/PID/stat, the same on every Linux.
const clockTick = time.Second / 100

// CPUs are the processors of the servers and of the load. They are the same one
// on a machine with one processor.
type CPUs struct{ Server, Load int }

// Allowed returns the first and the last of the processors that this process may
// use: neighbours may share a core.
func Allowed() (CPUs, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return CPUs{}, err
	}
	cpus := CPUs{Server: -1}
	for cpu, seen := 0, 0; seen < set.Count(); cpu++ {
		if !set.IsSet(cpu) {
			continue
		}
		if seen++; seen == 1 {
			cpus.Server = cpu
		}
		cpus.Load = cpu
	}
	return cpus, nil
}

// Start starts cmd on these processors alone; the Go runtime makes GOMAXPROCS of
// them.
func Start(cmd *exec.Cmd, cpus ...int) error {
	// A process inherits the affinity of the thread that starts it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, own unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return err
	}
	for _, cpu := range cpus {
		own.Set(cpu)
	}
	if err := unix.SchedSetaffinity(0, &own); err != nil {
		return fmt.Errorf("processors %v: %w", cpus, err)
	}
	defer unix.SchedSetaffinity(0, &before)
	return cmd.Start()
}

// CPUTime is the processor time of a process in user and kernel mode: utime and
// stime of proc_pid_stat(5).
func CPUTime(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The program's name may have spaces in it; what follows does not.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	const utime, stime = 14 - 3, 15 - 3 // field 3 is the first here
	if len(fields) <= stime {
		return 0, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	var user, system int64
	if _, err := fmt.Sscan(fields[utime]+" "+fields[stime], &user, &system); err != nil {
		return 0, fmt.Errorf("/proc/%d/stat: %w", pid, err)
	}
	return time.Duration(user+system) * clockTick, nil
}

// Anonymous is the memory of a process in bytes without mapped files, which the
// kernel may drop: RssAnon of proc_pid_status(5).
func Anonymous(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(status), "RssAnon:")
	var kibibytes int64
	if _, err := fmt.Sscan(rest, &kibibytes); err != nil {
		return 0, fmt.Errorf("RssAnon of process %d: %w", pid, err)
	}
	return kibibytes * 1024, nil
}

// AwaitIdle waits until a process has next to nothing to do, and reports whether that was so
// within the limit.
func AwaitIdle(pid int, limit time.Duration) (bool, error) {
	const interval, share = time.Second, 0.04 // of one processor
	for end := time.Now().Add(limit); time.Now().Before(end); {
		before, err := CPUTime(pid)
		if err != nil {
			return false, err
		}
		time.Sleep(interval)
		after, err := CPUTime(pid)
		if err != nil {
			return false, err
		}
		if (after - before).Seconds() < share*interval.Seconds() {
			return true, nil
		}
	}
	return false, nil
}

// Idle is how long a processor has had nothing to do since the machine started: idle
// and iowait of proc_stat(5).
func Idle(cpu int) (time.Duration, error) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	_, line, _ := strings.Cut(string(stat), fmt.Sprintf("\ncpu%d ", cpu))
	var user, nice, system, idle, iowait int64
	if _, err := fmt.Sscan(line, &user, &nice, &system, &idle, &iowait); err != nil {
		return 0, fmt.Errorf("processor %d in /proc/stat: %w", cpu, err)
	}
	return time.Duration(idle+iowait) * clockTick, nil
}
