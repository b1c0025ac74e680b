package outcomes

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

const (
	journalProgram = "journalctl"
	// maxEntry is how long an entry of the journal may be in JSON, in bytes. Longer
	// ones are left out.
	maxEntry = 1 << 20
	// journalInterval is how often Follow looks for new entries.
	journalInterval = 2 * time.Second
)

// Journal counts the entries of the system's journal that have the syslog facility
// mail, by journalctl(1).
type Journal struct {
	Tally  *Tally
	Logger *slog.Logger
	// Since is a time as journalctl takes it, or a span such as 24h; "" is all that
	// the journal has. Follow does not read it.
	Since string
	// StateFile keeps the position over a restart; "" for not.
	StateFile string
	// Ready, if it is not nil, is called by Follow when all that is written from then
	// on is counted.
	Ready func()

	cursor string
	keeper keeper
}

// Read counts the entries of the journal.
func (j *Journal) Read(ctx context.Context) error {
	if reason := unseen(ctx); reason != "" {
		return fmt.Errorf("%s: %s", journalProgram, reason)
	}
	args := []string{}
	if j.Since != "" {
		args = append(args, "--since="+since(j.Since))
	}
	return j.run(ctx, j.entry, args...)
}

// Follow counts new entries of the journal until ctx is done, and then returns nil.
// It begins at the position of an earlier Follow or, the first time, now. It runs
// journalctl repeatedly, because "journalctl --follow" of systemd 252 showed no
// new entries within the unit.
func (j *Journal) Follow(ctx context.Context) error {
	j.keeper = keeper{file: j.StateFile, logger: j.Logger}
	if j.StateFile != "" {
		state, err := loadState(j.Logger, j.StateFile)
		if err != nil {
			return err
		}
		j.Tally.recall(state)
		j.cursor = state.Cursor
	}
	if j.cursor == "" {
		if err := j.run(ctx, func(line string) { j.cursor = parseEntry(line).Cursor }, "--lines=1"); err != nil {
			return err
		}
	}
	if reason := unseen(ctx); reason != "" {
		j.Logger.Warn("The journal shows nothing of Postfix here", "reason", reason)
	}
	if j.Ready != nil {
		j.Ready()
	}
	again := time.NewTicker(journalInterval)
	defer again.Stop()
	for failing := ""; ; {
		var args []string
		if j.cursor != "" {
			args = append(args, "--after-cursor="+j.cursor)
		}
		err := j.run(ctx, j.entry, args...)
		j.save(ctx.Err() != nil)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			failing = ""
		case err.Error() != failing:
			failing = err.Error()
			j.Logger.Warn("The journal could not be read, it is tried again", "reason", err)
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			j.save(true)
			return nil
		}
	}
}

// unseen returns why journalctl shows no messages of Postfix, as far as journalctl prints it:
// the journal is missing, or this user may see only messages of the own processes. With JSON,
// journalctl does not print it.
func unseen(ctx context.Context) string {
	cmd := exec.CommandContext(ctx, journalProgram, "--no-pager", "--lines=0")
	var stderr bytes.Buffer
	cmd.Stderr = &limited{&stderr, 1 << 16} // each damaged file has a line
	_ = cmd.Run()                           // the run that reads reports a failure
	said := strings.Join(strings.Fields(stderr.String()), " ")
	if !strings.Contains(said, "not seeing messages from other users and the system") && !strings.Contains(said, "No journal files were found") {
		return ""
	}
	return strings.TrimSuffix(strings.TrimPrefix(said, "Hint: "), " Pass -q to turn off this notice.")
}

// since turns a span into what journalctl takes for "that long ago".
func since(text string) string {
	if text != "" && isDigit(text[0]) && strings.Trim(text, "0123456789") != "" && !strings.ContainsAny(text, "-: ") {
		return "-" + text
	}
	return text
}

// run runs journalctl to its end and passes the entries to take. The error has its
// standard error output.
func (j *Journal) run(ctx context.Context, take func(string), args ...string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, journalProgram, append([]string{
		"--output=json", "--all", "--quiet", "--no-pager",
		"--output-fields=MESSAGE,SYSLOG_IDENTIFIER,SYSLOG_PID,_PID,_HOSTNAME",
	}, append(args, "SYSLOG_FACILITY=2")...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &limited{&stderr, maxSample}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	readErr := eachLine(ctx, bufio.NewReaderSize(out, maxEntry), take)
	err = cmd.Wait()
	switch {
	case readErr != nil:
		return readErr
	case err != nil && stderr.Len() > 0:
		return fmt.Errorf("%s: %w: %s", journalProgram, err, bytes.TrimSpace(stderr.Bytes()))
	case err != nil:
		return fmt.Errorf("%s: %w", journalProgram, err)
	}
	return nil
}

// limited writes the first bytes and drops the others.
type limited struct {
	io.Writer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.left -= n
	if _, err := l.Writer.Write(p[:n]); err != nil {
		return 0, err
	}
	return len(p), nil
}

// journalEntry is an entry in journalctl's JSON. A value with invalid UTF-8 is a
// list of bytes.
type journalEntry struct {
	Cursor     string      `json:"__CURSOR"`
	Time       string      `json:"__REALTIME_TIMESTAMP"` // microseconds
	Host       string      `json:"_HOSTNAME"`
	Identifier string      `json:"SYSLOG_IDENTIFIER"`
	SyslogPID  string      `json:"SYSLOG_PID"`
	PID        string      `json:"_PID"`
	Message    journalText `json:"MESSAGE"`
}

type journalText string

func (t *journalText) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '[' {
		var numbers []uint16 // not []byte, which is base64
		if err := json.Unmarshal(text, &numbers); err != nil {
			return err
		}
		b := make([]byte, len(numbers))
		for i, n := range numbers {
			b[i] = byte(n)
		}
		*t = journalText(b)
		return nil
	}
	return json.Unmarshal(text, (*string)(t))
}

// parseEntry reads an entry. One whose fields are of another form, such as lists,
// is not Postfix's: all that counts of it is the cursor.
func parseEntry(line string) (in journalEntry) {
	if json.Unmarshal([]byte(line), &in) != nil {
		return journalEntry{Cursor: in.Cursor}
	}
	return in
}

// entry counts one entry.
func (j *Journal) entry(line string) {
	in := parseEntry(line)
	j.Tally.journal(&in)
	if in.Cursor != "" {
		j.cursor = in.Cursor
		j.save(false)
	}
}

// journal counts an entry of the journal.
func (t *Tally) journal(in *journalEntry) {
	e := entry{host: in.Host, program: in.Identifier, pid: in.SyslogPID, text: string(in.Message)}
	if e.pid == "" {
		e.pid = in.PID
	}
	if !isProgram(e.program) {
		return
	}
	if µs, err := strconv.ParseInt(in.Time, 10, 64); err == nil {
		e.time = time.UnixMicro(µs).UTC().Format(time.RFC3339)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.entry(&e) {
		t.incomplete++
	}
}

// save saves the position, now and then, or because it is the last time.
func (j *Journal) save(last bool) {
	if j.cursor != "" {
		j.keeper.save(j.Tally, savedState{Cursor: j.cursor}, last)
	}
}
