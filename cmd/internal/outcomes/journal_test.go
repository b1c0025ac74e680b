package outcomes_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mta-sts-daemon/cmd/internal/outcomes"
)

// fakeJournal puts a fake journalctl first in PATH. Its journal has n deliveries, each
// of which takes three entries, after one entry of another program. With a cursor it
// prints at most atOnce of the entries after that and fails, as if it had been killed;
// it succeeds if there are none. Without a cursor it prints all entries, or the first if
// --lines=1 is given. fakeJournal returns the path of a file with the arguments of each
// run.
func fakeJournal(t *testing.T, n, atOnce int) (arguments string) {
	t.Helper()
	dir := t.TempDir()
	var entries strings.Builder
	entry := func(fields map[string]any) {
		fields["__CURSOR"] = fmt.Sprintf("c%d", strings.Count(entries.String(), "\n"))
		fields["__REALTIME_TIMESTAMP"] = "1795888198000000"
		fields["_HOSTNAME"] = "mail"
		line, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		entries.Write(append(line, '\n'))
	}
	entry(map[string]any{"MESSAGE": "before", "SYSLOG_IDENTIFIER": "cron"})
	text := func(line string) string {
		_, text, _ := strings.Cut(line, "]: ")
		return strings.TrimSuffix(text, "\n")
	}
	for i := range n {
		entry(map[string]any{"MESSAGE": text(smtp1 + verifiedMX), "SYSLOG_IDENTIFIER": "postfix/smtp", "SYSLOG_PID": "1", "_PID": "1"})
		// A value with invalid UTF-8 is a list of numbers.
		var bytes []int
		for _, b := range []byte(strings.ReplaceAll(text(sentLine(i)), "ok", "\xff")) {
			bytes = append(bytes, int(b))
		}
		entry(map[string]any{"MESSAGE": bytes, "SYSLOG_IDENTIFIER": "postfix/smtp", "_PID": "1"})
		entry(map[string]any{"MESSAGE": nil, "SYSLOG_IDENTIFIER": []string{"a", "b"}})
	}
	arguments = filepath.Join(dir, "arguments")
	for name, text := range map[string]string{
		"entries": entries.String(),
		"journalctl": `#!/bin/sh
echo "$@" >>` + arguments + `
cd ` + dir + `
case "$*" in
*--lines=1*) head -n 1 entries; exit 0 ;;
*--after-cursor=*) after=${*#*--after-cursor=c}; after=${after%% *}; from=$((after + 2)) ;;
*) cat entries; exit 0 ;;
esac
[ "$from" -le "$(wc -l <entries)" ] || exit 0
tail -n "+$from" entries | head -n ` + fmt.Sprint(atOnce) + `
exit 1
`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return arguments
}

func TestJournal(t *testing.T) {
	for since, argument := range map[string]string{"": "", "24h": "--since=-24h ", "yesterday": "--since=yesterday ", "2026-11-28 10:00": "--since=2026-11-28 10:00 ", "-2d": "--since=-2d "} {
		arguments := fakeJournal(t, 5, 100)
		tally := outcomes.NewTally(outcomes.Options{})
		if err := (&outcomes.Journal{Tally: tally, Since: since}).Read(context.Background()); err != nil {
			t.Fatal(err)
		}
		await(t, tally, 5)
		if s := tally.Summary(); s.Since != "2026-11-28T17:49:58Z" {
			t.Errorf("since %q", s.Since)
		}
		got, err := os.ReadFile(arguments)
		if err != nil || !strings.HasSuffix(string(got), " "+argument+"SYSLOG_FACILITY=2\n") {
			t.Errorf("--since %q: journalctl %s", since, got)
		}
	}
}

// A user with access to messages of the own processes alone, or without a journal, gets an error:
// journalctl succeeds then, and with JSON it prints nothing.
func TestJournalUnseen(t *testing.T) {
	for said, want := range map[string]string{
		"Hint: You are currently not seeing messages from other users and the system.\n      Users in groups 'adm', 'systemd-journal' can see all messages.\n      Pass -q to turn off this notice.": "journalctl: You are currently not seeing messages from other users and the system. Users in groups 'adm', 'systemd-journal' can see all messages.",
		"No journal files were found.":                 "journalctl: No journal files were found.",
		"Journal file /x is truncated, ignoring file.": "<nil>",
	} {
		dir := t.TempDir()
		program := "#!/bin/sh\ncase \"$*\" in *--output=json*) exit 0;; esac\ncat >&2 <<'END'\n" + said + "\nEND\n"
		if err := os.WriteFile(filepath.Join(dir, "journalctl"), []byte(program), 0o700); err != nil {
			t.Fatal(err)
		}
		t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
		err := (&outcomes.Journal{Tally: outcomes.NewTally(outcomes.Options{})}).Read(context.Background())
		if got := fmt.Sprint(err); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// A journalctl that fails again and again, and a restart in between, lose no entry
// and count none twice.
func TestFollowJournal(t *testing.T) {
	fakeJournal(t, 6, 7) // ends between the two entries of a message
	state := filepath.Join(t.TempDir(), "state")
	follow := func(messages int) *outcomes.Tally {
		tally := outcomes.NewTally(outcomes.Options{})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() {
			done <- (&outcomes.Journal{Tally: tally, StateFile: state, Logger: slog.New(slog.DiscardHandler)}).Follow(ctx)
		}()
		await(t, tally, messages)
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		return tally
	}
	follow(6)
	if got := counts(follow(0).Summary()); len(got) != 0 {
		t.Errorf("counted twice: %v", got)
	}
}

func TestJournalErrors(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	tally := outcomes.NewTally(outcomes.Options{})
	for name, err := range map[string]error{
		"Read":   (&outcomes.Journal{Tally: tally}).Read(context.Background()),
		"Follow": (&outcomes.Journal{Tally: tally, Logger: slog.New(slog.DiscardHandler)}).Follow(context.Background()),
	} {
		if err == nil || !strings.Contains(err.Error(), `"journalctl": executable file not found`) {
			t.Errorf("%s without a journalctl: %v", name, err)
		}
	}
}
