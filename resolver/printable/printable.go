// Package printable makes text of others (policies, DNS records, server responses,
// configuration files) safe and short enough for messages, logs and terminals.
package printable

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxQuoted is how many bytes of a text Quote repeats: enough to recognise it.
const maxQuoted = 64

// cutMark ends a text of which something is left out.
const cutMark = "..."

// Quote returns the start of s in double quotes, in printable ASCII.
func Quote(s string) string { return QuoteUpTo(s, maxQuoted) }

// QuoteUpTo is Quote with another limit of bytes of s.
func QuoteUpTo(s string, limit int) string {
	start := head(s, limit)
	quoted := strconv.QuoteToASCII(start)
	if len(start) < len(s) {
		quoted += cutMark
	}
	return quoted
}

// Cut returns s, or the start of it and three dots if it is longer than limit
// bytes. It does not cut within a character.
func Cut(s string, limit int) string {
	if start := head(s, limit); len(start) < len(s) {
		return start + cutMark
	}
	return s
}

// Line returns s as one line of printable ASCII, without quotes. Of a result
// longer than limit bytes it returns the start and three dots.
func Line(s string, limit int) string {
	return escape(s, limit, func(r rune) bool { return ' ' <= r && r <= '~' })
}

// Text is Line, but keeps printable characters of all scripts as they are.
func Text(s string, limit int) string { return escape(s, limit, strconv.IsPrint) }

// escape returns s with the characters escaped that are not to be kept.
func escape(s string, limit int, keep func(rune) bool) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		next := string(r)
		if !keep(r) {
			quoted := strconv.QuoteToASCII(s[i : i+size])
			next = quoted[1 : len(quoted)-1]
		}
		if b.Len()+len(next) > limit {
			return b.String() + cutMark
		}
		b.WriteString(next)
		i += size
	}
	return b.String()
}

// head returns the start of s, at most limit bytes and only whole characters.
func head(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for n := limit; n > 0 && n > limit-utf8.UTFMax; n-- {
		if utf8.RuneStart(s[n]) {
			return s[:n]
		}
	}
	return s[:limit] // no UTF-8
}
