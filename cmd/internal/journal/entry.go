package journal

import (
	"log/slog"
	"strings"
	"time"

	systemd "github.com/coreos/go-systemd/v22/journal"

	"mta-sts-daemon/resolver/event"
	"mta-sts-daemon/resolver/printable"
)

const (
	identifier  = "mta-sts-daemon"
	fieldPrefix = "MTASTS_"

	// Attributes that message formats in a special way.
	domainKey = "domain"
	reasonKey = "reason"

	// Untrusted text may be long. maxField lets an entry fit into a datagram;
	// maxMessageValue keeps MESSAGE readable.
	maxField        = 8 << 10
	maxMessageValue = 500
)

// entry is a log record in journald's form, with the record itself for the
// fallback handler.
type entry struct {
	message  string
	priority systemd.Priority
	fields   map[string]string

	record   slog.Record
	fallback slog.Handler
}

// newEntry makes an entry of a record and its flattened attributes.
func newEntry(r slog.Record, attrs []slog.Attr, fallback slog.Handler) entry {
	e := entry{
		message:  message(r.Message, attrs),
		priority: priority(r.Level),
		fields:   map[string]string{"SYSLOG_IDENTIFIER": identifier},
		record:   r.Clone(),
		fallback: fallback,
	}
	for _, a := range attrs {
		if what, ok := eventIn(a); ok {
			e.fields["MESSAGE_ID"] = what.Define().ID
			continue
		}
		// journalctl shows a field with invalid UTF-8 as a list of numbers.
		e.fields[fieldName(a.Key)] = strings.ToValidUTF8(printable.Cut(text(a.Value), maxField), "\uFFFD")
	}
	return e
}

// message is the line that journalctl shows by default: the record's message, the
// domain, the other attributes in parentheses, and the reason.
//
//	Policy changed: example.com (mode enforce, id 2, expires 2026-01-01T00:00:00Z)
func message(words string, attrs []slog.Attr) string {
	var domain, reason string
	var others []string
	for _, a := range attrs {
		if _, ok := eventIn(a); ok {
			continue
		}
		value := printable.Cut(text(a.Value), maxMessageValue)
		switch {
		case value == "":
		case a.Key == domainKey:
			domain = ": " + value
		case a.Key == reasonKey:
			reason = ": " + value
		case a.Key != countKey: // the message has it already
			others = append(others, strings.ReplaceAll(a.Key, "_", " ")+" "+value)
		}
	}
	line := printable.Cut(words, maxMessageValue) + domain
	if len(others) > 0 {
		line += " (" + strings.Join(others, ", ") + ")"
	}
	return printable.Text(line+reason, maxField)
}

// priority converts a slog level to a syslog priority.
func priority(level slog.Level) systemd.Priority {
	switch {
	case level < slog.LevelInfo:
		return systemd.PriDebug
	case level < event.LevelNotice:
		return systemd.PriInfo
	case level < slog.LevelWarn:
		return systemd.PriNotice
	case level < slog.LevelError:
		return systemd.PriWarning
	case level == slog.LevelError:
		return systemd.PriErr
	}
	return systemd.PriCrit
}

// fieldName returns the journal field of an attribute.
func fieldName(key string) string {
	return fieldPrefix + strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToUpper(key))
}

// flatten appends a to attrs. It joins the names of groups with the key.
func flatten(attrs []slog.Attr, group string, a slog.Attr) []slog.Attr {
	if _, ok := eventIn(a); ok {
		return append(attrs, a)
	}
	a.Value = a.Value.Resolve()
	if a.Equal(slog.Attr{}) {
		return attrs
	}
	a.Key = join(group, a.Key)
	if a.Value.Kind() != slog.KindGroup {
		return append(attrs, a)
	}
	for _, member := range a.Value.Group() {
		attrs = flatten(attrs, a.Key, member)
	}
	return attrs
}

func join(group, key string) string {
	if group == "" || key == "" {
		return group + key
	}
	return group + "_" + key
}

// eventIn returns the event in the attribute.
func eventIn(a slog.Attr) (event.Event, bool) {
	if a.Key != event.Key {
		return 0, false
	}
	e, ok := a.Value.Any().(event.Event)
	return e, ok
}

func text(v slog.Value) string {
	if v.Kind() == slog.KindTime {
		return v.Time().UTC().Format(time.RFC3339)
	}
	return v.String()
}
