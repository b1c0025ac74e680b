package outcomes

import "strings"

// entry is one message of the log.
type entry struct {
	time    string // as the log has it
	host    string
	program string // such as postfix/smtp or postfix-out/relay/smtp
	pid     string
	text    string
}

// service is the last part of the program's name.
func (e *entry) service() string { return e.program[strings.LastIndexByte(e.program, '/')+1:] }

// instance is the first part of the program's name: queue ids are unique in one
// instance.
func (e *entry) instance() string {
	name, _, _ := strings.Cut(e.program, "/")
	return name
}

// The shapes of a line's beginning.
const (
	// rfc3164Time is how syslog and Postfix's own postlogd(8) write the time.
	rfc3164Time = "Jan _2 15:04:05"
	// isoTime is how rsyslog does by default, without fraction and zone.
	isoTime = "2006-01-02T15:04:05"
	// rfc5424Version begins a line as RFC 5424 has it.
	rfc5424Version = "1 "
	byteOrderMark  = "\ufeff"
)

// parseLine parses a line of a log file: RFC 3164, also with fractions of a
// second, RFC 5424, or RFC 3164 with an ISO 8601 time, each with or without
// priority. ok is false for other formats and other programs than Postfix.
func parseLine(line string) (e entry, ok bool) {
	line = strings.TrimRight(line, "\r\n")
	if rest, ok := strings.CutPrefix(line, "<"); ok {
		if _, line, ok = strings.Cut(rest, ">"); !ok {
			return entry{}, false
		}
	}
	if rest, ok := strings.CutPrefix(line, rfc5424Version); ok {
		return parse5424(rest)
	}
	if e.time, line, ok = cutTime(line); !ok {
		return entry{}, false
	}
	if e.host, line, ok = strings.Cut(line, " "); !ok {
		return entry{}, false
	}
	tag, text, ok := strings.Cut(line, "]: ")
	if !ok {
		return entry{}, false
	}
	if e.program, e.pid, ok = strings.Cut(tag, "["); !ok || !isProgram(e.program) || !isNumber(e.pid) {
		return entry{}, false
	}
	e.text = text
	return e, true
}

// cutTime cuts a time off that ends before a blank.
func cutTime(line string) (time, rest string, ok bool) {
	layout := rfc3164Time
	if line != "" && isDigit(line[0]) {
		layout = isoTime
	}
	if len(line) <= len(layout) || line[len(layout)-3] != ':' || line[len(layout)-6] != ':' ||
		layout == isoTime && line[len("2006-01-02")] != 'T' || layout == rfc3164Time && line[len("Jan")] != ' ' {
		return "", "", false
	}
	i := strings.IndexByte(line[len(layout):], ' ') // after a fraction or zone
	if i < 0 {
		return "", "", false
	}
	i += len(layout)
	return line[:i], line[i+1:], true
}

// parse5424 reads what follows the version: time, host, application, process,
// message id, structured data, message (RFC 5424 section 6).
func parse5424(line string) (e entry, ok bool) {
	var id string
	for _, field := range []*string{&e.time, &e.host, &e.program, &e.pid, &id} {
		if *field, line, ok = strings.Cut(line, " "); !ok {
			return entry{}, false
		}
	}
	if e.text, ok = cutStructuredData(line); !ok || !isProgram(e.program) || !isNumber(e.pid) {
		return entry{}, false
	}
	e.text = strings.TrimPrefix(e.text, byteOrderMark)
	return e, true
}

// cutStructuredData returns what follows the structured data: "-", or elements
// in brackets, in which quoted values may have brackets too.
func cutStructuredData(s string) (text string, ok bool) {
	if text, ok = strings.CutPrefix(s, "- "); ok {
		return text, true
	}
	if !strings.HasPrefix(s, "[") {
		return "", false
	}
	quoted := false
	for i := 0; i+1 < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case !quoted && s[i] == ']' && s[i+1] == ' ':
			return s[i+2:], true
		}
	}
	return "", false
}

// isProgram reports whether s may be the name of a program of Postfix, whose
// syslog_name is the administrator's choice: there is a slash in it.
func isProgram(s string) bool {
	slash := false
	for i := range len(s) {
		switch c := s[i]; {
		case c == '/':
			slash = true
		case c <= ' ' || c >= 0x7f || c == '[' || c == ']' || c == ':':
			return false
		}
	}
	return slash
}

// isNumber reports whether s is a process id.
func isNumber(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
