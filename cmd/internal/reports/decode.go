package reports

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/printable"
)

// Limits of one report. A report of a very large sender has some thousand details of ten
// values each.
const (
	maxReport = 16 << 20 // bytes of JSON
	maxDepth  = 16       // of objects and lists in each other; RFC 8460 needs 5
	maxValues = 400_000
)

// report is RFC 8460 section 4, as far as it is counted.
type report struct {
	Organization text              `json:"organization-name"`
	ID           text              `json:"report-id"`
	DateRange    dateRange         `json:"date-range"`
	Policies     list[policyEntry] `json:"policies"`

	content []byte
}

type dateRange struct {
	Start text `json:"start-datetime"`
	End   text `json:"end-datetime"`
}

type policyEntry struct {
	Policy   policy              `json:"policy"`
	Summary  summary             `json:"summary"`
	Failures list[failureDetail] `json:"failure-details"`
}

type policy struct {
	Type   text       `json:"policy-type"`
	Text   list[text] `json:"policy-string"`
	Domain text       `json:"policy-domain"`
}

type summary struct {
	Success count `json:"total-successful-session-count"`
	Failure count `json:"total-failure-session-count"`
}

type failureDetail struct {
	Result text  `json:"result-type"`
	MX     text  `json:"receiving-mx-hostname"`
	HELO   text  `json:"receiving-mx-helo"`
	Count  count `json:"failed-session-count"`
	Reason text  `json:"failure-reason-code"`
	Error  text  `json:"failure-error-code"` // its name in drafts, which some senders keep
}

// errNoReport means that JSON is well formed and something else than a TLS report.
var errNoReport = errors.New("no TLS report")

// decode hands the reports in JSON to take: one, several after each other, or a list of
// them. Those before a fault are taken.
func decode(data []byte, take func(report)) error {
	if len(data) > maxReport {
		return fmt.Errorf("more than %d MiB of JSON", maxReport>>20)
	}
	if err := checkShape(data); err != nil {
		return err
	}
	values := json.NewDecoder(bytes.NewReader(data))
	none := true
	for {
		var value json.RawMessage
		if err := values.Decode(&value); err == io.EOF {
			if none {
				return errNoReport
			}
			return nil
		} else if err != nil {
			return err
		}
		if !isJSON(value) {
			return errNoReport // a number, for instance, of which there may be millions
		}
		var all list[json.RawMessage]
		if err := json.Unmarshal(value, &all); err != nil {
			return err
		}
		for _, one := range all {
			r, err := decodeOne(one)
			if errors.Is(err, errNoReport) {
				continue
			}
			if err != nil {
				return err
			}
			none = false
			take(r)
		}
	}
}

func decodeOne(data json.RawMessage) (report, error) {
	var keys map[string]json.RawMessage
	if json.Unmarshal(data, &keys) != nil || keys["organization-name"] == nil && keys["report-id"] == nil && keys["date-range"] == nil {
		return report{}, errNoReport
	}
	r := report{content: data}
	err := json.Unmarshal(data, &r)
	return r, err
}

// checkShape bounds the memory that decoding takes.
func checkShape(data []byte) error {
	depth, values := 0, 0
	quoted, escaped := false, false
	for _, b := range data {
		switch {
		case quoted:
			quoted = escaped || b != '"'
			escaped = b == '\\' && !escaped
		case b == '"':
			quoted = true
		case b == '{', b == '[':
			values++
			if depth++; depth > maxDepth {
				return fmt.Errorf("JSON has more than %d levels", maxDepth)
			}
		case b == '}', b == ']':
			depth--
		case b == ',':
			values++
		}
	}
	if values > maxValues {
		return fmt.Errorf("JSON has more than %d values", maxValues)
	}
	return nil
}

// digest identifies the report's content, however it is laid out.
func (r *report) digest() digest {
	var compact bytes.Buffer
	if json.Compact(&compact, r.content) != nil {
		return sha256.Sum256(r.content)
	}
	return sha256.Sum256(compact.Bytes())
}

// period returns the days that the report is about. Some senders name the midnight at the
// end of a day, which belongs to the day after.
func (r *report) period() period {
	p := period{parseTime(string(r.DateRange.Start)), parseTime(string(r.DateRange.End))}
	if p.first.IsZero() {
		p.first = p.last
	}
	if p.last.Before(p.first) {
		p.last = p.first
	}
	if midnight := p.last.Truncate(24 * time.Hour); p.last.After(p.first) && midnight.Equal(p.last) {
		p.last = p.last.Add(-time.Second)
	}
	return p
}

// layouts are those of RFC 8460 and of senders who leave something out.
var layouts = []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07:00", time.DateTime, time.DateOnly} // never changed

// parseTime returns the zero time if s is malformed.
func parseTime(s string) time.Time {
	for _, layout := range layouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && n > 0 && n < 1<<32 {
		return time.Unix(n, 0).UTC()
	}
	return time.Time{}
}

func (p *policyEntry) key() policyKey {
	return policyKey{domain: host(p.Policy.Domain), kind: word(p.Policy.Type)}
}

// mode returns the mode in the text of an MTA-STS policy.
func (p *policy) mode() string {
	for _, part := range p.Text {
		for line := range strings.Lines(string(part)) {
			if key, value, _ := strings.Cut(line, ":"); strings.EqualFold(strings.TrimSpace(key), "mode") {
				return word(text(value))
			}
		}
	}
	return ""
}

// sessions returns how many sessions failed. A detail without a number stands for one.
func (f *failureDetail) sessions() uint64 {
	if !f.Count.known {
		return 1
	}
	return f.Count.n
}

func (f *failureDetail) result() string { return word(f.Result) }

func (f *failureDetail) mx() string {
	if f.MX == "" {
		return host(f.HELO)
	}
	return host(f.MX)
}

func (f *failureDetail) reason() string {
	if f.Reason == "" {
		return printable.Line(string(f.Error), maxText)
	}
	return printable.Line(string(f.Reason), maxText)
}

// word returns one of RFC 8460's words in its spelling: some senders use upper case or
// underscores.
func word(t text) string {
	return printable.Line(strings.NewReplacer("_", "-", " ", "-").Replace(strings.ToLower(string(t.trimmed()))), maxText)
}

// host returns a host name in its canonical form, as far as it has one.
func host(t text) string {
	name := string(t.trimmed())
	if d, err := mtasts.ParseDomain(name); err == nil {
		return d.String()
	}
	return printable.Line(strings.ToLower(strings.TrimSuffix(name, ".")), maxText)
}

// text accepts any JSON value in place of a string: a number for its digits, a list for its
// elements.
type text string

func (t text) trimmed() text { return text(strings.TrimSpace(string(t))) }

func (t *text) UnmarshalJSON(data []byte) error {
	switch data[0] {
	case '"':
		return json.Unmarshal(data, (*string)(t))
	case '[':
		var parts list[text]
		err := json.Unmarshal(data, &parts)
		for i, part := range parts {
			if i > 0 {
				*t += " "
			}
			if *t += part; len(*t) > maxText {
				break
			}
		}
		return err
	case '{', 'n':
		*t = ""
	default:
		*t = text(data)
	}
	return nil
}

// list accepts a single value in place of a list, and null for an empty one.
type list[T any] []T

func (l *list[T]) UnmarshalJSON(data []byte) error {
	*l = nil
	switch {
	case data[0] == '[':
		return json.Unmarshal(data, (*[]T)(l))
	case string(data) == "null":
		return nil
	}
	var one T
	if err := json.Unmarshal(data, &one); err != nil {
		return err
	}
	*l = list[T]{one}
	return nil
}

// count accepts a number, or a string that holds one. It is not known if it is neither.
type count struct {
	n     uint64
	known bool
}

// maxCount is the largest whole number that every reader of JSON can represent.
const maxCount = 1 << 53

func (c *count) UnmarshalJSON(data []byte) error {
	*c = count{}
	digits := strings.ReplaceAll(strings.TrimSpace(strings.Trim(string(data), `"`)), ",", "")
	if f, err := strconv.ParseFloat(digits, 64); err == nil && f >= 0 && f <= maxCount {
		*c = count{uint64(f), true}
	}
	return nil
}
