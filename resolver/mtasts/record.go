package mtasts

import (
	"errors"
	"fmt"
	"strings"

	"mta-sts-daemon/resolver/printable"
)

const (
	recordVersion = "v=STSv1"
	maxIDLen      = 32
	maxNameLen    = 32 // of a record's field and of a policy's key
	wsp           = " \t"
)

// ErrNoRecord means that no TXT record begins with "v=STSv1;": the domain does not
// use MTA-STS. It is a result, not a failure: cache it for the record's TTL.
var ErrNoRecord = errors.New("no MTA-STS record")

// Record is a valid _mta-sts TXT record (RFC 8461 section 3.1).
type Record struct {
	// ID is the policy id, 1 to 32 letters and digits. Compare it for equality only:
	// ids have no order.
	ID string
}

// ParseRecord finds the one MTA-STS record among a name's TXT records, each with
// its strings already joined. It ignores other TXT records. The error is
// ErrNoRecord if none is a record, and a *SyntaxError if there are several or the
// only one is malformed. In all three cases the domain has no policy (RFC 8461
// section 3.1).
func ParseRecord(txts []string) (Record, error) {
	var found string
	n := 0
	for _, txt := range txts {
		if isRecord(txt) {
			found = txt
			n++
		}
	}
	switch {
	case n == 0:
		return Record{}, ErrNoRecord
	case n > 1:
		return Record{}, recordError("there are %d of them, RFC 8461 requires exactly one", n)
	}
	return parseRecord(found)
}

// isRecord reports whether txt begins with the version and a delimiter.
func isRecord(txt string) bool {
	rest, ok := strings.CutPrefix(txt, recordVersion)
	return ok && strings.HasPrefix(strings.TrimLeft(rest, wsp), ";")
}

// parseRecord parses sts-text-record of RFC 8461 section 3.1. White space is part
// of the delimiter, so it is allowed around ";" only.
func parseRecord(txt string) (Record, error) {
	fields := strings.Split(txt, ";")
	last := len(fields) - 1
	if strings.Trim(fields[last], wsp) == "" {
		fields = fields[:last] // the one optional delimiter at the end
	}
	id, seen := "", false
	for i, field := range fields[1:] {
		field = strings.TrimLeft(field, wsp)
		if i+1 < last {
			field = strings.TrimRight(field, wsp)
		}
		name, value, err := parseField(field)
		if err != nil {
			return Record{}, err
		}
		if name == "id" && !seen {
			id, seen = value, true
		}
	}
	switch {
	case !seen:
		return Record{}, recordError("it has no id")
	case !isID(id):
		return Record{}, recordError("id %s is not 1 to 32 letters and digits", printable.Quote(id))
	}
	// The id is kept. A clone does not keep txt, whose length its author chooses.
	return Record{ID: strings.Clone(id)}, nil
}

// parseField parses sts-field: sts-ext-name "=" sts-ext-value. An id has this
// shape too.
func parseField(field string) (name, value string, err error) {
	if field == "" {
		return "", "", recordError("it has an empty field")
	}
	name, value, ok := strings.Cut(field, "=")
	if !ok || !isName(name) || !isFieldValue(value) {
		return "", "", recordError("field %s is not name=value", printable.Quote(field))
	}
	return name, value, nil
}

// isName reports whether s is sts-ext-name, which is also sts-policy-ext-name.
func isName(s string) bool {
	if s == "" || len(s) > maxNameLen || !isAlnum(s[0]) {
		return false
	}
	for i := 1; i < len(s); i++ {
		if c := s[i]; !isAlnum(c) && c != '_' && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

// isFieldValue reports whether s is sts-ext-value: printable ASCII without "=", ";"
// and space.
func isFieldValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == '=' || c == ';' {
			return false
		}
	}
	return s != ""
}

func isID(s string) bool {
	for i := range len(s) {
		if !isAlnum(s[i]) {
			return false
		}
	}
	return s != "" && len(s) <= maxIDLen
}

func isAlnum(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

func recordError(format string, args ...any) *SyntaxError {
	return &SyntaxError{What: "record", Reason: fmt.Sprintf(format, args...)}
}
