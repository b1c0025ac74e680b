package clock_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"mta-sts-daemon/resolver/clock"
)

const envPrintBoot = "TEST_PRINT_BOOT"

func TestMain(m *testing.M) {
	if os.Getenv(envPrintBoot) != "" {
		fmt.Println(clock.System().Boot())
		return
	}
	os.Exit(m.Run())
}

// A container with a time since boot of its own counts as another boot: elsewhere
// its entries are judged by the wall clock. (No namespace has a wall clock of its
// own, so steps of it are tested in fake time alone.)
func TestTimeNamespace(t *testing.T) {
	cmd := exec.Command("unshare", "--time", "--boottime", "100000", os.Args[0])
	cmd.Env = append(os.Environ(), envPrintBoot+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Skipf("LEFT OUT: no time namespace can be made here: %v: %s", err, out)
	}
	here, there := clock.System().Boot(), strings.TrimSpace(string(out))
	if there == here || !strings.HasPrefix(there, strings.Fields(here)[0]) {
		t.Errorf("the boot is %q here and %q in another time namespace", here, there)
	}
}
