package outcomes

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

// savedState is the state of a process that follows a log, kept over its restart: its
// position, and data of earlier lines to which later lines may refer. Counts begin
// again at 0, as counters of Prometheus do.
type savedState struct {
	// Cursor is that of the journal entry that was read last.
	Cursor string `json:"cursor,omitempty"`
	// File is the position in the log file; nil if the journal is read.
	File *filePosition `json:"file,omitempty"`

	TLSLines bool           `json:"tls_lines"`
	Features bool           `json:"features"`
	Sessions []savedSession `json:"sessions"`
}

// savedSession is a session, with the process that it is of.
type savedSession struct {
	Host    string `json:"host"`
	PID     string `json:"pid"`
	Relay   string `json:"relay"`
	TLS     uint8  `json:"tls"`
	QueueID string `json:"queue_id,omitempty"`
	Outside bool   `json:"outside,omitempty"`
}

// loadState reads a savedState; of a file that is missing or corrupt, the zero
// savedState. A corrupt file is set aside. One that cannot have been a savedState is an error:
// the name is wrong.
func loadState(logger *slog.Logger, name string) (s savedState, err error) {
	text, err := os.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return savedState{}, nil
	case err != nil:
		return savedState{}, err
	}
	err = json.Unmarshal(text, &s)
	rest := bytes.Trim(text, "\x00") // of a file that a crash of the machine has torn
	if len(rest) > 0 && rest[0] != '{' || err == nil && s.File == nil && s.Cursor == "" {
		return savedState{}, fmt.Errorf("%s has no position that was saved here: name another file", name)
	}
	if err == nil && s.File != nil && s.File.Offset < 0 {
		err = errors.New("the offset is below 0")
	}
	if err != nil {
		aside := name + ".corrupt"
		err = errors.Join(err, os.Rename(name, aside))
		logger.Warn("The saved position in Postfix's log is corrupt: lines that were written before this start are not counted", "set_aside", aside, "reason", err)
		return savedState{}, nil
	}
	return s, nil
}

// saveInterval is how often the position is saved.
const saveInterval = 5 * time.Second

// keeper saves the state of a Tally to a file.
type keeper struct {
	file    string // "" for none
	logger  *slog.Logger
	tried   time.Time
	saved   []byte // the file's contents; nil if they are not known
	failing bool   // as was logged
}

// save saves s and the state of the Tally, at most once in saveInterval unless last is set. It
// writes only changes, and logs when that begins to fail, and when it works again.
func (k *keeper) save(t *Tally, s savedState, last bool) {
	if k.file == "" || !last && time.Since(k.tried) < saveInterval {
		return
	}
	k.tried = time.Now()
	text, err := json.Marshal(t.remember(s))
	if err == nil && !bytes.Equal(text, k.saved) {
		if err = write(k.file, text); err == nil {
			k.saved = text
		}
	}
	switch {
	case err != nil && !k.failing:
		k.logger.Warn("The position in Postfix's log could not be saved: the next start misses lines, or counts some twice", "reason", err)
	case err == nil && k.failing:
		k.logger.Info("The position in Postfix's log is saved again")
	}
	k.failing = err != nil
}

// write replaces the file in one step, which a crash of the machine cannot tear.
func write(name string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // after an error
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// remember adds to s what lines to come may refer to.
func (t *Tally) remember(s savedState) savedState {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.TLSLines, s.Features = t.tlsLines, t.features
	for _, p := range t.sessions.Keys() {
		if x, ok := t.sessions.Peek(p); ok && (x.relay != "" || x.outside) {
			s.Sessions = append(s.Sessions, savedSession{p.host, p.pid, x.relay, uint8(x.tls), x.queueID, x.outside})
		}
	}
	return s
}

// recall takes back what remember kept.
func (t *Tally) recall(s savedState) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tlsLines, t.features = s.TLSLines, s.Features
	for _, x := range s.Sessions {
		if security(x.TLS) < numTLS {
			t.sessions.Add(process{x.Host, x.PID}, &session{relay: x.Relay, tls: security(x.TLS), queueID: x.QueueID, outside: x.Outside})
		}
	}
}
