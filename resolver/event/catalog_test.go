package event

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// catalogFile explains the events to readers of the journal.
const catalogFile = "../../packaging/mta-sts-daemon.catalog"

// maxLines keeps an explanation short enough to be read.
const maxLines = 9

// carried are the journal's fields of each event that an explanation may use.
// Those that can be missing or longer than journalctl expands are not here.
var carried = map[Event][]string{
	DaemonStarted:      {"MTASTS_LISTEN"},
	ConfigNeedsRestart: {"MTASTS_KEYS"},
	PolicyFound:        policyFields,
	PolicyChanged:      policyFields,
	PolicyDowngraded:   policyFields,
	PolicyUnavailable:  {"MTASTS_DOMAIN", "MTASTS_ID"},
	RecordGone:         policyFields,
	RefreshFailing:     policyFields,
	RefreshRecovered:   policyFields,
	PolicyExpired:      policyFields,
	PolicyMatchesNoMX:  append(slices.Clip(policyFields), "MTASTS_MX_HOSTS", "MTASTS_PATTERNS"),
	StoreDamaged:       {"MTASTS_FILE", "MTASTS_SET_ASIDE"},
	StoreEntriesLost:   {"MTASTS_FILE", "MTASTS_POLICIES"},
	StoreFailing:       {"MTASTS_FILE"},
	StoreRecovered:     {"MTASTS_FILE"},
	StoreNotCopied:     {"MTASTS_FILE"},
	SharedStoreFailing: {"MTASTS_SERVERS"},
	DiscoveryPutOff:    {"MTASTS_DOMAIN"},
	PolicyMatchesAgain: append(slices.Clip(policyFields), "MTASTS_MX_HOSTS", "MTASTS_PATTERNS"),
	PoliciesPurged:     {"MTASTS_POLICIES"},
	OverrideEnded:      {"MTASTS_KEY"},
	SocketLost:         {"MTASTS_SOCKET"},
	SocketRestored:     {"MTASTS_SOCKET"},
	DANEUnknown:        {"MTASTS_DOMAIN"},
	DANEKnown:          {"MTASTS_DOMAIN"},
	ReportsLost:        {"MTASTS_SOCKET"},
	ReportsSent:        {"MTASTS_SOCKET"},
	PageExposed:        {"MTASTS_LISTEN"},
}

var policyFields = []string{"MTASTS_DOMAIN", "MTASTS_MODE", "MTASTS_ID", "MTASTS_EXPIRES"}

// explanation is an entry of the catalog.
type explanation struct {
	header map[string]string
	body   string
}

// readCatalog returns the entries by MESSAGE_ID.
func readCatalog(t *testing.T) map[string]explanation {
	text, err := os.ReadFile(catalogFile)
	if err != nil {
		t.Fatal(err)
	}
	entries := map[string]explanation{}
	_, rest, _ := strings.Cut(string(text), "\n-- ")
	for entry := range strings.SplitSeq(rest, "\n-- ") {
		id, entry, _ := strings.Cut(entry, "\n")
		if _, twice := entries[id]; twice {
			t.Errorf("%s is explained twice", id)
		}
		header, body, _ := strings.Cut(entry, "\n\n")
		e := explanation{map[string]string{}, strings.TrimSpace(body)}
		for line := range strings.SplitSeq(header, "\n") {
			key, value, _ := strings.Cut(line, ": ")
			e.header[key] = value
		}
		entries[id] = e
	}
	return entries
}

func TestCatalog(t *testing.T) {
	t.Parallel()
	entries := readCatalog(t)
	subjects := map[string]Event{}
	for e := range All {
		def := e.Define()
		entry, ok := entries[def.ID]
		if !ok {
			t.Errorf("%q (%s) is not explained", def.Message, def.ID)
			continue
		}
		delete(entries, def.ID)
		entry.check(t, e)
		subject := entry.header["Subject"]
		if other, twice := subjects[subject]; twice {
			t.Errorf("%q and %q have the subject %q", def.Message, other.Define().Message, subject)
		}
		subjects[subject] = e
	}
	for id, entry := range entries {
		t.Errorf("%q (%s) explains no event", entry.header["Subject"], id)
	}
}

func (entry explanation) check(t *testing.T, e Event) {
	words := e.Define().Message
	for key, form := range map[string]string{
		"Subject":       `^\S.*\S$`,
		"Defined-By":    `^mta-sts-daemon$`,
		"Documentation": `^(man:[a-z.-]+\([58]\)|https://\S+)$`,
	} {
		if value := entry.header[key]; !regexp.MustCompile(form).MatchString(value) {
			t.Errorf("%q: %s is %q", words, key, value)
		}
	}
	if n := strings.Count(entry.body, "\n") + 1; entry.body == "" || n > maxLines {
		t.Errorf("%q: the explanation has %d lines, %d bytes", words, n, len(entry.body))
	}
	for _, field := range regexp.MustCompile(`@([^@\s]*)@`).FindAllStringSubmatch(entry.body+entry.header["Subject"], -1) {
		if !slices.Contains(carried[e], field[1]) {
			t.Errorf("%q: an explanation uses the field %s, which the event has not", words, field[1])
		}
	}
}
