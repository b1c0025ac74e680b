package doctor

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"mta-sts-daemon/config"
)

// overrides lists the overrides of the configuration: hand-made exceptions are
// easily forgotten.
func overrides(cfg config.Config, now time.Time) (findings []Finding) {
	var endless []string
	byKey := func(a, b config.OverrideKey) int { return cmp.Compare(a.String(), b.String()) }
	for _, key := range slices.SortedFunc(maps.Keys(cfg.Overrides), byKey) {
		switch until := cfg.Overrides[key].Until; {
		case until.IsZero():
			endless = append(endless, key.String())
		case now.Before(until):
			findings = append(findings, well(checkOverrides, "The override of %v ends at %s", key, until.Format(time.RFC3339)))
		default:
			findings = append(findings, hint(checkOverrides, "remove it from the configuration, or give it a later date",
				"The override of %v ended at %s and no longer applies", key, until.Format(time.RFC3339)))
		}
	}
	if len(endless) > 0 {
		findings = append(findings, well(checkOverrides, "Overrides without an end: %d (%s)", len(endless), strings.Join(endless, ", ")))
	}
	return findings
}
