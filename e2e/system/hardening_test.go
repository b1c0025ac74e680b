package system

import (
	"strings"
	"testing"
)

// measureExposure holds the unit to a limit, by the measure of Debian 12, and
// has the units checked for what systemd does not know in them.
func measureExposure(t *testing.T, v *server) {
	if v.suite == bookworm {
		const limit = "11" // tenths
		table := v.run(t, "systemd-analyze", "security", "--offline=true", "--threshold="+limit, serviceUnit)
		lines := strings.Split(strings.TrimSpace(table), "\n")
		t.Log(lines[len(lines)-1])
	}
	if said := v.run(t, "systemd-analyze", "verify", "--man=no", serviceUnit, socketUnit); strings.Contains(said, "mta-sts") {
		t.Errorf("systemd-analyze verify: %s", said)
	}
}
