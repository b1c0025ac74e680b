package explain

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"mta-sts-daemon/cmd/internal/layout"
	"mta-sts-daemon/resolver/printable"
)

// maxText is the most bytes that are printed of one text of others.
const maxText = 500

// printed returns a text of others as one line that cannot steer the terminal.
func printed(s string) string { return printable.Line(s, maxText) }

// some joins the first few strings, made printable.
func some(all []string, limit int) string {
	var shown []string
	for _, s := range all[:min(len(all), limit)] {
		shown = append(shown, printed(s))
	}
	text := strings.Join(shown, ", ")
	if more := len(all) - len(shown); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// typed returns the key as it was typed if that differs from the domain's name: for a
// person, so letters of any script stay.
func typed(key, domain string) string {
	strange := func(r rune) bool {
		return !unicode.In(r, unicode.L, unicode.M, unicode.N) && !strings.ContainsRune(".-_[]:", r)
	}
	if strings.TrimSuffix(strings.ToLower(key), ".") == domain {
		return ""
	}
	if !utf8.ValidString(key) || strings.ContainsFunc(key, strange) {
		return printed(key)
	}
	return key
}

func date(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// Units of time, in seconds.
const (
	minute = 60
	hour   = 60 * minute
	day    = 24 * hour
)

// lasts writes a number of seconds, and the same time in the largest unit that
// fits.
func lasts(seconds int64) string {
	text := fmt.Sprintf("%d s", seconds)
	switch {
	case seconds >= 2*day:
		return text + " (" + layout.Count(seconds/day, "day") + ")"
	case seconds >= hour:
		return text + " (" + layout.Count(seconds/hour, "hour") + ")"
	case seconds >= 2*minute:
		return text + " (" + layout.Count(seconds/minute, "minute") + ")"
	}
	return text
}
