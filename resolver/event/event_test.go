package event

import (
	"bytes"
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	ids := map[string]Event{}
	messages := map[string]Event{}
	count := 0
	for e := range All {
		count++
		def := e.Define()
		if !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(def.ID) {
			t.Errorf("%q: MESSAGE_ID %q", def.Message, def.ID)
		}
		if other, twice := ids[def.ID]; twice {
			t.Errorf("%q and %q have the same MESSAGE_ID", def.Message, other.Define().Message)
		}
		if other, twice := messages[def.Message]; twice || def.Message == "" {
			t.Errorf("events %d and %d have the words %q", e, other, def.Message)
		}
		ids[def.ID], messages[def.Message] = e, e
	}
	if count != len(definitions)-1 {
		t.Errorf("All yields %d events of %d", count, len(definitions)-1)
	}
}

func TestLog(t *testing.T) {
	var out bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: LevelNotice}))
	PolicyFound.Log(logger, Domain("a.example"))
	if out.Len() > 0 {
		t.Errorf("an event below the level was logged: %s", &out)
	}
	PolicyChanged.Log(logger, Domain("a.example"), Reason(errors.New("why not")))
	for _, want := range []string{`msg="Policy changed"`, "domain=a.example", `reason="why not"`, "event=" + PolicyChanged.Define().ID} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s is missing in %s", want, &out)
		}
	}
}
