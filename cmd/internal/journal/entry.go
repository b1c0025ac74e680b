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

	// Attributes with a place of their own in MESSAGE.
	domainKey = "domain"
	reasonKey = "reason"

	// What strangers wrote may be long. A field is kept short enough for an
	// entry to fit a datagram, a value in MESSAGE to be read.
	maxField        = 8 << 10
	maxMessageValue = 500
)

// entry is a record as journald gets it, and as it is logged if journald does
// not take it.
type entry struct {
	message  string
	priority systemd.Priority
	fields   map[string]string

	record   slog.Record
	fallback slog.Handler
}

// newEntry makes an entry of a record and the flattened attributes that belong
// to it.
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
		// Without invalid UTF-8, which journalctl would show as numbers.
		e.fields[fieldName(a.Key)] = strings.ToValidUTF8(printable.Cut(text(a.Value), maxField), "\uFFFD")
	}
	return e
}

// message is the line that journalctl shows by itself: the record's words, the
// domain, in parentheses what else is known, and the reason.
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
		case a.Key != countKey: // which the words have
			others = append(others, strings.ReplaceAll(a.Key, "_", " ")+" "+value)
		}
	}
	line := printable.Cut(words, maxMessageValue) + domain
	if len(others) > 0 {
		line += " (" + strings.Join(others, ", ") + ")"
	}
	return printable.Text(line+reason, maxField)
}

// priority is syslog's for a level of slog's.
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

// fieldName is the journal's name for an attribute.
func fieldName(key string) string {
	return fieldPrefix + strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToUpper(key))
}

// flatten appends a to attrs, its groups' names joined with its key.
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

// eventIn returns the event that the attribute carries.
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
