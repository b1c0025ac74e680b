package e2e

import (
	"maps"
	"slices"
	"strings"
)

// settingsFile is a configuration file of one-line settings. Of those with the
// same key the last counts alone.
func settingsFile(separator string, lines ...string) string {
	last := make(map[string]string)
	for _, line := range lines {
		key, _, _ := strings.Cut(line, separator)
		last[strings.TrimSpace(key)] = line
	}
	return strings.Join(slices.Sorted(maps.Values(last)), "\n") + "\n"
}
