package system

import (
	"encoding/json"
	"strings"
	"testing"

	"mta-sts-daemon/e2e/internal/isolated"
)

// awaitInJournal waits until a line of the journal contains text.
func (v *server) awaitInJournal(t *testing.T, text string, match ...string) {
	t.Helper()
	args := append([]string{"--boot", "--output=cat"}, match...)
	isolated.Eventually(t, "\""+text+"\" in the journal", func() bool {
		return strings.Contains(v.run(t, "journalctl", args...), text)
	})
}

// readJournal looks for the fields of an event.
func readJournal(t *testing.T, v *server) {
	const d domain = "journal.test"
	v.publish(d)
	v.checkLookup(t, string(d), d.secure())
	entry := v.awaitEntry(t, d)
	for field, want := range map[string]string{"MTASTS_MODE": "enforce", "MTASTS_ID": "20260101", "PRIORITY": "6"} {
		if got := entry[field]; got != want {
			t.Errorf("%s is %q, want %q", field, got, want)
		}
	}
	if id := entry["MESSAGE_ID"]; len(id) != 32 {
		t.Errorf("MESSAGE_ID is %q", id)
	}
}

// explainJournal looks for the catalog's text of an event.
func explainJournal(t *testing.T, v *server) {
	const d domain = "catalog.test"
	v.publish(d)
	v.checkLookup(t, string(d), d.secure())
	v.awaitEntry(t, d)
	explained := v.run(t, "journalctl", "--catalog", "--identifier=mta-sts-daemon", "MTASTS_DOMAIN="+string(d))
	if !strings.Contains(explained, "\n░░ Subject: ") || !strings.Contains(explained, "\n░░ Defined-By: mta-sts-daemon\n") {
		t.Errorf("journalctl -x does not explain an event:\n%s", explained)
	}
}

// awaitEntry returns the first event of d, with its fields.
func (v *server) awaitEntry(t *testing.T, d domain) (entry map[string]string) {
	t.Helper()
	isolated.Eventually(t, "an entry in the journal with MTASTS_DOMAIN="+string(d), func() bool {
		out := v.run(t, "journalctl", "--identifier=mta-sts-daemon", "--output=json", "MTASTS_DOMAIN="+string(d))
		first, _, _ := strings.Cut(out, "\n")
		if first == "" {
			return false
		}
		if err := json.Unmarshal([]byte(first), &entry); err != nil {
			t.Fatalf("%v in %s", err, first)
		}
		return true
	})
	return entry
}
