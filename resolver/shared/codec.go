package shared

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"mta-sts-daemon/resolver/mtasts"
)

// A value is text. Its first line has a time, the schema, the kind of value and
// a MAC. Fields follow, one a line; unknown ones are skipped. The first field is
// the number of the last purge that is known in it. Time and number stay in these
// places in every schema to come, because script.go compares values by them. A
// policy goes on with an empty line and its text.
//
// Daemons of the version before number nothing: they skip the number in a policy,
// and everything after the first line of a purge, which they compare by its time.
const (
	schema     = "1"
	kindPolicy = "policy" // the time is that of the fetch
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

// Why something is no value.
var (
	errTooLong = fmt.Errorf("it is longer than %d bytes", maxValueLen)
	errSchema  = errors.New("it is of a kind or schema that this version does not know")
	errForged  = errors.New("its MAC was not made with this fleet's key")
	errTime    = errors.New("its time is missing or in the future")
	errNumber  = errors.New("its number of purges is too high")
	errFields  = errors.New("its fields cannot be read")
	errID      = errors.New("its policy id is missing or malformed")
)

// codec encodes values, and decodes what nodes and others wrote.
type codec struct {
	key []byte // nil for none: then a MAC is not required
}

// encode returns what name's key has for v. name is a domain or everything. A
// policy with a max_age of 0 is not kept: it becomes a purge, by time, of those
// before it.
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

// decode reads what name's key has. seen is the highest number of a purge that
// this node has seen. The error is the reason why it is no value.
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
	// The clock of whoever purged may be wrong, if the purge has a number.
	case v.Number == 0 && seconds > now.Add(maxAhead).Unix():
		return Value{}, errTime
	}
	return v, nil
}

// mac covers all of a value and what it is of. No part but the last can hold a
// line feed, so that no two values have the same octets under it.
func (c codec) mac(name, head, body string) []byte {
	h := hmac.New(sha256.New, c.key)
	fmt.Fprintf(h, "mta-sts-daemon shared value\n%s\n%s\n%s", name, head, body)
	return h.Sum(nil)
}

func decodePurge(body string, at time.Time) (Value, error) {
	fields, _, _ := strings.Cut(body, "\n\n")
	v := Value{Purged: at}
	timed := false
	for name, value := range fieldsOf(fields) {
		switch name {
		case fieldPurges:
			number, err := strconv.ParseUint(value, 10, 64)
			if err != nil {
				return Value{}, errFields
			}
			v.Number = number
		case fieldBy:
			timed = value == byTime
		}
	}
	if timed {
		v.Number = 0
	}
	return v, nil
}

func decodePolicy(body string, at time.Time) (Value, error) {
	fields, text, ok := strings.Cut(body, "\n\n")
	if !ok {
		return Value{}, errFields
	}
	e := Entry{Fetched: at}
	for name, value := range fieldsOf(fields) {
		var err error
		switch name {
		case "":
			return Value{}, errFields
		case fieldPurges:
			e.Purges, err = strconv.ParseUint(value, 10, 64)
		case fieldID:
			e.ID = value
		case fieldRecheck:
			var seconds int64
			seconds, err = strconv.ParseInt(value, 10, 64)
			e.Recheck = time.Unix(seconds, 0).UTC()
		}
		if err != nil {
			return Value{}, errFields
		}
	}
	// An id is what a record could have had.
	r, err := mtasts.ParseRecord([]string{"v=STSv1; id=" + e.ID})
	if err != nil || r.ID != e.ID {
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

// fieldsOf yields name and value of each line. Both are empty for a line that is
// no field.
func fieldsOf(lines string) iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for line := range strings.SplitSeq(lines, "\n") {
			name, value, ok := strings.Cut(line, fieldSep)
			if !ok {
				name = ""
			}
			if !yield(name, value) {
				return
			}
		}
	}
}
