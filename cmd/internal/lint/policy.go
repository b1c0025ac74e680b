package lint

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/printable"
)

const (
	bom  = "\ufeff"
	crlf = "\r\n"

	// longText is the size in bytes above which some clients cannot read the
	// policy: Postfix accepts replies up to this size from a tcp_table.
	longText = 4096

	day  = 24 * time.Hour
	week = 7 * day
)

// Policy looks at a policy's text, valid or not, and at its values.
func Policy(text string) []Finding {
	var f findings
	f.look(text)
	policy, err := mtasts.ParsePolicy(text)
	if err == nil {
		f.values(policy)
	}
	f.lines(text, policy, err == nil)
	return f.all()
}

// Text is Policy without its findings about the mode and max_age.
func Text(text string) []Finding {
	var f findings
	f.look(text)
	policy, err := mtasts.ParsePolicy(text)
	f.lines(text, policy, err == nil)
	return f.all()
}

// look finds what concerns the text as a whole.
func (f *findings) look(text string) {
	if strings.HasPrefix(text, bom) {
		f.add(Warning, 1, "a byte order mark, which not every sender accepts")
	}
	ends, windows := strings.Count(text, "\n"), strings.Count(text, crlf)
	switch {
	case windows > 0 && windows < ends:
		f.add(Note, 0, "some lines end with CRLF and some with LF alone")
	case ends == 0 && strings.Contains(text, "\r"):
		f.add(Warning, 0, "its lines end with CR alone; RFC 8461 has CRLF or LF")
	}
	if len(text) > longText {
		f.add(Note, 0, "%d bytes long; an answer with all of it does not fit into a tcp_table reply", len(text))
	}
}

// values finds unusual values of a valid policy's mode and max_age.
func (f *findings) values(p mtasts.Policy) {
	switch p.Mode {
	case mtasts.ModeTesting:
		f.add(Note, 0, "mode testing: failures are reported, mail is delivered all the same")
	case mtasts.ModeNone:
		f.add(Note, 0, "mode none: the domain asks for no protection")
	}
	switch {
	case p.MaxAge == 0:
		f.add(Warning, 0, "max_age 0: the policy is not kept at all")
	case p.MaxAge < day:
		f.add(Warning, 0, "max_age is under a day: who keeps senders from the policy host for that long switches the policy off")
	case p.MaxAge < week && p.Mode == mtasts.ModeEnforce:
		f.add(Note, 0, "max_age is under a week; RFC 8461 section 3.2 expects weeks")
	case p.MaxAge == mtasts.MaxMaxAge:
		f.add(Note, 0, "max_age is a year, the most that counts")
	}
}

// lines examines the fields. It skips lines that are not fields: the policy is
// then invalid, and its error names the first of them.
func (f *findings) lines(text string, policy mtasts.Policy, valid bool) {
	keys, patterns := map[string]bool{}, map[string]bool{}
	blank, n := 0, 0
	for line := range strings.Lines(strings.TrimPrefix(text, bom)) {
		n++
		line = strings.TrimRight(line, " \t\r\n")
		if line == "" && blank == 0 {
			blank = n
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok || !isKey(key) {
			f.noField(n, line)
			continue
		}
		value = strings.TrimLeft(value, " \t")
		if key == keyMode && !keys[key] {
			f.mode(n, value)
		}
		switch {
		case !slices.Contains(knownKeys, key):
			f.unknownKey(n, key)
		case key == keyMX:
			f.pattern(n, value, policy, valid, patterns)
		case keys[key]:
			f.add(Warning, n, "duplicate key %s; only the first is used", key)
		}
		keys[key] = true
	}
	if blank > 0 {
		f.add(Note, blank, "a blank line, which RFC 8461 does not allow; not every sender accepts it")
	}
}

// noField guesses the intention of a line that is not a field.
func (f *findings) noField(n int, line string) {
	key, _, ok := strings.Cut(strings.TrimLeft(line, " \t"), ":")
	switch {
	case line == "---" || line == "...":
		f.add(Warning, n, "%s belongs to YAML; a policy has only lines of the form key: value", line)
	case ok && slices.Contains(knownKeys, key):
		f.add(Warning, n, "there is a blank before %s; a line begins with its key", key)
	}
}

// mode guesses the intention of an unknown mode.
func (f *findings) mode(n int, value string) {
	const letters = 4 // enough to distinguish the modes: enforced, Testing, tests
	for _, mode := range []mtasts.Mode{mtasts.ModeEnforce, mtasts.ModeTesting, mtasts.ModeNone} {
		name := mode.String()
		if value != name && strings.HasPrefix(strings.ToLower(value), name[:letters]) {
			f.add(Warning, n, "mode %s is unknown; is %s meant?", printable.Quote(value), name)
		}
	}
}

func (f *findings) unknownKey(n int, key string) {
	if meant := resembles(key); meant != "" {
		f.add(Warning, n, "key %s is unknown and ignored; is %s meant?", printable.Quote(key), meant)
		return
	}
	f.add(Note, n, "key %s is unknown and ignored", printable.Quote(key))
}

// pattern looks at one mx; seen has those before it.
func (f *findings) pattern(n int, value string, policy mtasts.Policy, valid bool, seen map[string]bool) {
	pattern := strings.ToLower(strings.TrimSuffix(value, "."))
	switch {
	case seen[pattern]:
		f.add(Note, n, "duplicate mx %s", printable.Quote(value))
	case valid && !slices.Contains(policy.MX, pattern):
		f.add(Warning, n, "mx %s is left out: %s", printable.Quote(value), whyLeftOut(pattern))
	case strings.HasPrefix(pattern, "*.") && strings.Count(pattern, ".") == 1:
		f.add(Warning, n, "mx %s is every domain of a top-level domain", printable.Quote(value))
	}
	seen[pattern] = true
}

// whyLeftOut says which of the two kinds of mx a pattern is that are valid and
// of no use.
func whyLeftOut(pattern string) string {
	last := pattern[strings.LastIndexByte(pattern, '.')+1:]
	if _, err := netip.ParseAddr(pattern); err == nil || strings.Trim(last, "0123456789") == "" {
		return "an address, and MX hosts are names"
	}
	return "a single label, and MX hosts have full names"
}
