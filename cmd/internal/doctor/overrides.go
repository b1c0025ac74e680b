package doctor

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"mta-sts-daemon/cmd/internal/clients"
	"mta-sts-daemon/cmd/internal/explain"
	"mta-sts-daemon/cmd/internal/layout"
	"mta-sts-daemon/cmd/internal/postconf"
	"mta-sts-daemon/config"
	"mta-sts-daemon/socketmap/tlspolicy"
	"mta-sts-daemon/socketmap/tlspolicy/syntax"
)

const (
	// lookLimit limits the looks at the domains of overrides, all together.
	lookLimit = 15 * time.Second
	// looksAtOnce limits them in parallel.
	looksAtOnce = 8
)

// overrides lists the overrides of the configuration with their age, because exceptions
// are easily forgotten, and reports those that are of no use any more.
func (h Host) overrides(ctx context.Context, instances postconf.Instances, now time.Time) (findings []Finding) {
	byKey := func(a, b config.OverrideKey) int { return cmp.Compare(a.String(), b.String()) }
	keys := slices.SortedFunc(maps.Keys(h.Config.Overrides), byKey)
	age := h.age(now)
	var endless []string
	var inForce []config.OverrideKey
	for _, key := range keys {
		switch until := h.Config.Overrides[key].Until; {
		case until.IsZero():
			endless = append(endless, key.String())
		case now.Before(until):
			findings = append(findings, well(checkOverrides, "The override of %v ends at %s%s", key, until.Format(time.RFC3339), age))
		default:
			findings = append(findings, hint(checkOverrides, "remove it from the configuration, or give it a later date",
				"The override of %v ended at %s and no longer applies", key, until.Format(time.RFC3339)))
			continue
		}
		inForce = append(inForce, key)
	}
	if len(endless) > 0 {
		findings = append(findings, well(checkOverrides, "Overrides without an end: %d (%s)%s", len(endless), strings.Join(endless, ", "), age))
	}
	return append(findings, h.needless(ctx, instances, inForce)...)
}

// age is how old overrides are at least: as old as the last change of the file.
func (h Host) age(now time.Time) string {
	info, err := os.Stat(h.ConfigFile)
	if err != nil {
		return ""
	}
	const day = 24 * time.Hour
	if days := int(now.Sub(info.ModTime()) / day); days > 0 {
		return line("; in the file for at least %s", []any{layout.Count(days, "day")})
	}
	return "; the file was changed within the last day"
}

// needless reports overrides that weaken the protection of a domain which by a fresh look
// has a working policy, or DANE.
func (h Host) needless(ctx context.Context, instances postconf.Instances, keys []config.OverrideKey) []Finding {
	keys = slices.DeleteFunc(slices.Clone(keys), func(k config.OverrideKey) bool {
		return k.Subdomains || !weakens(h.Config.Overrides[k])
	})
	if len(keys) == 0 {
		return nil
	}
	c, err := clients.New(h.Config, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil // that is another finding
	}
	o := explain.Options{
		Profile: clients.Profile(h.Config),
		NoDANE:  c.DoesDANE(h.Config, instances),
		Maps:    clients.MapNames(h.Config, instances),
	}
	o.Profile.Overrides, o.Profile.Monitor = tlspolicy.Overrides{}, false
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	found := make([][]Finding, len(keys))
	var looks errgroup.Group
	looks.SetLimit(looksAtOnce)
	for i, key := range keys {
		looks.Go(func() error {
			r, ok := explain.Look(ctx, c, key.String(), o)
			if ok && (r.Outcome == explain.ProtectedSTS || r.Outcome == explain.ProtectedDANE) {
				found[i] = []Finding{hint(checkOverrides, "remove the override and reload (if the certificates of the MX hosts are in order too)",
					"The override of %v replaces a protection that works, as far as can be seen without a connection to the MX hosts: %s", key, r.Reason)}
			}
			return nil
		})
	}
	looks.Wait() // none returns an error
	return slices.Concat(found...)
}

// weakens reports whether mail may be sent unverified because of o.
func weakens(o config.Override) bool {
	return o.NotFound || slices.Contains([]string{levelNone, levelMay, levelEncrypt}, syntax.Level(o.Policy))
}
