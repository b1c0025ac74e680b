package shared

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"mta-sts-daemon/resolver/mtasts"
)

// A value is text. Its first line has a time, the schema, the kind of value and
// a MAC. Fields follow, one on each line; unknown ones are skipped. The first field is
// the number of the last purge that its writer knew. Time and number have these
// places in every later schema, because script.go compares values by them. In a
// policy an empty line and the policy's text follow.
//
// Daemons of the first version number nothing: they skip the number in a policy,
// and everything after the first line of a purge, which they compare by its time.
const (
	schema     = "1"
	kindPolicy = "policy" // the time is when the fetch began
	kindPurge  = "purge"  // the time is that of the purge
	noMAC      = "-"

	fieldPurges  = "purges"
	fieldBy      = "by" // of a purge that applies by its time, and not by its number
	fieldID      = "id"
	fieldRecheck = "recheck"
	fieldSep     = ": "

	byTime = "time"

	// maxValueLen is the longest value that is read, in bytes.
	maxValueLen = mtasts.MaxPolicyLen + 6<<10
)

// everything is the name in place of a domain's for a purge of all domains.
const everything = "*"

// Why a text is not a value.
var (
	errTooLong = fmt.Errorf("it is longer than %d bytes", maxValueLen)
	errSchema  = errors.New("this version does not know its kind or schema")
	errForged  = errors.New("its MAC was not made with this node's key")
	errTime    = errors.New("its time is missing or in the future")
	errNumber  = errors.New("its number of purges is too high")
	errFields  = errors.New("its fields cannot be read")
	errID      = errors.New("its policy id is missing or malformed")
)

// codec encodes values, and decodes text that anybody may have written.
type codec struct {
	key []byte // nil for none: then a MAC is not required
}

// encode returns the text of v for name's key. name is a domain or everything. A
// policy with a max_age of 0 is not kept: it becomes a purge, by time, of earlier
// ones.
func (c codec) encode(name string, v Value) string {
	at, kind := v.Purged, kindPurge
	body := field(fieldPurges, v.Number)
	switch e := v.Entry; {
	case e != nil && e.Policy.MaxAge == 0:
		at = e.Fetched
		body = field(fieldPurges, e.Purges) + field(fieldBy, byTime)
	case e != nil:
		at, kind = e.Fetched, kindPolicy
		body = field(fieldPurges, e.Purges) + field(fieldID, e.ID) + field(fieldRecheck, e.Recheck.Unix()) + "\n" + e.Policy.Text
	}
	head := fmt.Sprintf("%d %s %s", at.Unix(), schema, kind)
	mac := noMAC
	if c.key != nil {
		mac = hex.EncodeToString(c.mac(name, head, body))
	}
	return head + " " + mac + "\n" + body
}

func field(name string, value any) string { return fmt.Sprintf("%s%s%v\n", name, fieldSep, value) }

// decode reads the text that name's key has. seen is the highest number of a purge
// that this node has seen.
func (c codec) decode(name, text string, now time.Time, seen uint64) (Value, error) {
	if len(text) > maxValueLen {
		return Value{}, errTooLong
	}
	first, body, _ := strings.Cut(text, "\n")
	words := strings.Split(first, " ")
	if len(words) != 4 || words[1] != schema {
		return Value{}, errSchema
	}
	kind, sum := words[2], words[3]
	if c.key != nil {
		mac, err := hex.DecodeString(sum)
		if err != nil || !hmac.Equal(mac, c.mac(name, strings.TrimSuffix(first, " "+sum), body)) {
			return Value{}, errForged
		}
	}
	seconds, err := strconv.ParseInt(words[0], 10, 64)
	if err != nil || seconds <= 0 {
		return Value{}, errTime
	}
	var v Value
	switch at := time.Unix(seconds, 0).UTC(); kind {
	case kindPolicy:
		v, err = decodePolicy(body, at)
	case kindPurge:
		v, err = decodePurge(body, at)
	default:
		err = errSchema
	}
	switch {
	case err != nil:
		return Value{}, err
	case v.highest() > highestBelieved(seen):
		return Value{}, errNumber
	// The clock of the node that purged may be wrong if the purge has a number.
	case v.Number == noNumber && seconds > now.Add(MaxAhead).Unix():
		return Value{}, errTime
	}
	return v, nil
}

// mac covers the whole value and its name. No part except the last can have a line
// feed, so no two values have the same MAC input.
func (c codec) mac(name, head, body string) []byte {
	h := hmac.New(sha256.New, c.key)
	fmt.Fprintf(h, "mta-sts-daemon shared value\n%s\n%s\n%s", name, head, body)
	return h.Sum(nil)
}

func decodePurge(body string, at time.Time) (Value, error) {
	lines, _, _ := strings.Cut(body, "\n\n")
	fields, _ := parseFields(lines)
	number, err := numberField(fields)
	if err != nil {
		return Value{}, errFields
	}
	if fields[fieldBy] == byTime {
		number = noNumber
	}
	return Value{Purged: at, Number: number}, nil
}

func decodePolicy(body string, at time.Time) (Value, error) {
	lines, text, hasText := strings.Cut(body, "\n\n")
	fields, wellFormed := parseFields(lines)
	number, err := numberField(fields)
	if !hasText || !wellFormed || err != nil {
		return Value{}, errFields
	}
	e := Entry{Fetched: at, Purges: number}
	if text, ok := fields[fieldRecheck]; ok {
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return Value{}, errFields
		}
		e.Recheck = time.Unix(seconds, 0).UTC()
	}
	// The id must be one that a record can have.
	r, err := mtasts.ParseRecord([]string{"v=STSv1; id=" + fields[fieldID]})
	if err != nil || r.ID != fields[fieldID] {
		return Value{}, errID
	}
	e.ID = r.ID
	// A copy, because skipped fields may be long and the policy is kept.
	if e.Policy, err = mtasts.ParsePolicy(strings.Clone(text)); err != nil {
		return Value{}, err
	}
	if e.Policy.MaxAge == 0 {
		return Value{Purged: at}, nil
	}
	return Value{Entry: &e}, nil
}

// parseFields returns the fields in lines. wellFormed is false if a line is not a
// field.
func parseFields(lines string) (fields map[string]string, wellFormed bool) {
	fields, wellFormed = map[string]string{}, true
	for line := range strings.SplitSeq(lines, "\n") {
		name, value, ok := strings.Cut(line, fieldSep)
		fields[name] = value
		wellFormed = wellFormed && ok && name != ""
	}
	return fields, wellFormed
}

// numberField returns the number of the last purge that is known; a node of a version
// without numbers writes none.
func numberField(fields map[string]string) (uint64, error) {
	text, ok := fields[fieldPurges]
	if !ok {
		return 0, nil
	}
	return strconv.ParseUint(text, 10, 64)
}

// minKeyLen is the least length of a key in bytes, that of a SHA-256 sum.
const minKeyLen = 32

// ParseKey reads the contents of a key file: a key of 32 bytes or more, such as
// "openssl rand -hex 32" prints. White space around it is ignored.
func ParseKey(text []byte) ([]byte, error) {
	key := bytes.TrimSpace(text)
	if len(key) < minKeyLen {
		return nil, fmt.Errorf("the key has %d bytes, fewer than %d: make one with \"openssl rand -hex 32\"", len(key), minKeyLen)
	}
	return key, nil
}
