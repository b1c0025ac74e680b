package shared

import (
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
// a MAC; a time comes first in every schema to come, because script.go compares
// values by it. In schema 1 a policy goes on with fields, of which those not
// known are skipped, an empty line, and the text of the policy.
const (
	schema     = "1"
	kindPolicy = "policy" // the time is that of the fetch
	kindPurge  = "purge"  // the time is that of the purge
	noMAC      = "-"

	fieldID      = "id"
	fieldRecheck = "recheck"
	fieldSep     = ": "

	// maxValueLen is the longest value that is read, in octets.
	maxValueLen = mtasts.MaxPolicyLen + 6<<10
)

// everything is, in the place of a domain, what a purge of all domains is for.
const everything = "*"

// Why a value is none.
var (
	errTooLong = fmt.Errorf("it is longer than %d octets", maxValueLen)
	errSchema  = errors.New("it is of a kind or schema that this version does not know")
	errForged  = errors.New("its MAC is not of this fleet's key")
	errTime    = errors.New("its time is none, or in the future")
	errFields  = errors.New("its fields cannot be read")
	errID      = errors.New("its id is none")
)

// codec writes values, and reads what nodes and strangers wrote.
type codec struct {
	key []byte // nil for none: then no MAC is asked for
}

// encode returns the value of name's key. name is a domain or everything.
func (c codec) encode(name string, v Value) string {
	at, kind, body := v.Purged, kindPurge, ""
	if e := v.Entry; e != nil {
		at, kind = e.Fetched, kindPolicy
		body = fmt.Sprintf("%s%s%s\n%s%s%d\n\n%s", fieldID, fieldSep, e.ID, fieldRecheck, fieldSep, e.Recheck.Unix(), e.Policy.Text)
	}
	head := fmt.Sprintf("%d %s %s", at.Unix(), schema, kind)
	mac := noMAC
	if c.key != nil {
		mac = hex.EncodeToString(c.mac(name, head, body))
	}
	return head + " " + mac + "\n" + body
}

// decode reads the value of name's key. The error says why it is none.
func (c codec) decode(name, text string, now time.Time) (Value, error) {
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
	at := time.Unix(seconds, 0).UTC()
	if err != nil || seconds <= 0 || at.After(now.Add(maxAhead)) {
		return Value{}, errTime
	}
	switch kind {
	case kindPolicy:
		e, err := decodePolicy(body)
		if err != nil {
			return Value{}, err
		}
		e.Fetched = at
		return Value{Entry: &e}, nil
	case kindPurge:
		return Value{Purged: at}, nil
	}
	return Value{}, errSchema
}

// mac covers all of a value and what it is of. No part but the last can hold a
// line feed, so that no two values have the same octets under it.
func (c codec) mac(name, head, body string) []byte {
	h := hmac.New(sha256.New, c.key)
	fmt.Fprintf(h, "mta-sts-daemon shared value\n%s\n%s\n%s", name, head, body)
	return h.Sum(nil)
}

func decodePolicy(body string) (Entry, error) {
	var e Entry
	fields, text, ok := strings.Cut(body, "\n\n")
	if !ok {
		return Entry{}, errFields
	}
	for line := range strings.SplitSeq(fields, "\n") {
		name, value, ok := strings.Cut(line, fieldSep)
		if !ok {
			return Entry{}, errFields
		}
		switch name {
		case fieldID:
			e.ID = value
		case fieldRecheck:
			seconds, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return Entry{}, errFields
			}
			e.Recheck = time.Unix(seconds, 0).UTC()
		}
	}
	// An id is what a record could have had.
	r, err := mtasts.ParseRecord([]string{"v=STSv1; id=" + e.ID})
	if err != nil || r.ID != e.ID {
		return Entry{}, errID
	}
	e.ID = r.ID
	// A copy, because the fields that are skipped may be long and the policy is kept.
	if e.Policy, err = mtasts.ParsePolicy(strings.Clone(text)); err != nil {
		return Entry{}, err
	}
	return e, nil
}
