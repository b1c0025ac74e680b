package proc

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestStartOnOneProcessor(t *testing.T) {
	t.Parallel()
	cpus, err := Allowed()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("grep", "Cpus_allowed_list", "/proc/self/status")
	var out strings.Builder
	cmd.Stdout = &out
	if err := Start(cmd, cpus.Load); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(out.String(), ":")
	if strings.ContainsAny(strings.TrimSpace(list), ",-") {
		t.Errorf("it may use processors %s", list)
	}
	if again, err := Allowed(); err != nil || again != cpus {
		t.Errorf("afterwards this process may use %v (%v), before it was %v", again, err, cpus)
	}
	if err := Start(exec.Command("true"), 1023); err == nil {
		t.Error("it started on a processor that is not there")
	}
}

func TestCPUTime(t *testing.T) {
	t.Parallel()
	before, err := CPUTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for after := before; after <= before; { // until this loop's time shows
		if after, err = CPUTime(os.Getpid()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := CPUTime(-1); err == nil {
		t.Error("of no process: no error")
	}
}

func TestAnonymous(t *testing.T) {
	t.Parallel()
	if n, err := Anonymous(os.Getpid()); err != nil || n < 1<<16 || n > 1<<36 {
		t.Errorf("got %d, %v", n, err)
	}
	if _, err := Anonymous(-1); err == nil {
		t.Error("of no process: no error")
	}
}

func TestIdle(t *testing.T) {
	t.Parallel()
	cpus, err := Allowed()
	if err != nil {
		t.Fatal(err)
	}
	if idle, err := Idle(cpus.Load); err != nil || idle <= 0 {
		t.Errorf("got %v, %v", idle, err)
	}
	if _, err := Idle(1023); err == nil {
		t.Error("a processor that is not there: no error")
	}
}
