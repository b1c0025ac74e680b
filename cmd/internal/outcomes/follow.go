package outcomes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"syscall"
	"time"
)

const (
	// pollInterval is how often files are looked at.
	pollInterval = 250 * time.Millisecond
	// rotatedLife is the time for which a rotated file is still read after its last
	// line: a syslog daemon writes to it until it reopens its files.
	rotatedLife = time.Minute
)

// Follower counts the lines that are appended to a log file, through rotations and
// truncations. It begins at the position saved by an earlier Follower or, the first
// time, at the end of the file.
//
// It continues to read a rotated file, so lines that a syslog daemon writes between
// the rotation and its reload are not lost.
type Follower struct {
	Tally *Tally
	Path  string
	// StateFile keeps the position over a restart; "" for not.
	StateFile string
	Logger    *slog.Logger
	// Ready, if it is not nil, is called when all that is written from then on is
	// counted.
	Ready func()

	files  []*followed // oldest first, the file at Path last
	buffer []byte
	keeper keeper
}

// fileID names a file whatever its path is.
type fileID struct {
	Device uint64 `json:"device"`
	Inode  uint64 `json:"inode"`
}

// filePosition is a position in a file that was read.
type filePosition struct {
	fileID
	Offset int64 `json:"offset"`
}

// followed is a file that is read.
type followed struct {
	file     *os.File
	id       fileID
	offset   int64     // of the first line that was not taken
	skipping bool      // offset is within a line that is too long
	lastRead time.Time // when there was something to read, or it was opened
}

// Run follows the file until ctx is done, and then returns nil. If the file is
// missing, it waits for it.
func (f *Follower) Run(ctx context.Context) error {
	f.buffer = make([]byte, maxLine)
	f.keeper = keeper{file: f.StateFile, logger: f.Logger}
	defer func() { closeAll(f.files) }()
	if err := f.begin(); err != nil {
		return err
	}
	if f.Ready != nil {
		f.Ready()
	}
	again := time.NewTicker(pollInterval)
	defer again.Stop()
	for {
		if err := f.poll(); err != nil {
			return err
		}
		if ctx.Err() != nil {
			f.saveState(true)
			return nil
		}
		f.saveState(false)
		select {
		case <-again.C:
		case <-ctx.Done():
		}
	}
}

// begin opens the files with lines that were not read.
func (f *Follower) begin() error {
	var state savedState
	if f.StateFile != "" {
		var err error
		if state, err = loadState(f.Logger, f.StateFile); err != nil {
			return err
		}
		f.Tally.recall(state)
	}
	if state.File == nil {
		current, err := open(f.Path)
		if errors.Is(err, fs.ErrNotExist) {
			f.Logger.Warn("There is no log of Postfix yet, it is waited for", "file", f.Path)
			return nil
		}
		if err != nil {
			return err
		}
		current.offset = current.size()
		f.files = []*followed{current}
		return nil
	}
	files, found, err := f.openFrom(state.File.fileID)
	if err != nil {
		return err
	}
	if found {
		files[0].offset = state.File.Offset
	} else {
		f.Logger.Warn("Part of Postfix's log was missed: the file that was read before is gone", "file", f.Path)
	}
	f.files = files
	return nil
}

// openFrom opens the file with that id and its successors in the rotation. If the
// file does not exist, found is false and only the file at Path is opened.
func (f *Follower) openFrom(id fileID) (files []*followed, found bool, err error) {
	for _, name := range inRotationOrder(Rotated(f.Path)) {
		file, err := open(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // rotated meanwhile
		}
		if err != nil {
			closeAll(files)
			return nil, false, err
		}
		if file.id == id {
			closeAll(files)
			files, found = nil, true
		}
		files = append(files, file)
	}
	if n := len(files); !found && n > 0 {
		closeAll(files[:n-1])
		files = files[n-1:]
	}
	return files, found, nil
}

// poll reads the new lines of all open files.
func (f *Follower) poll() error {
	if err := f.openNext(); err != nil {
		return err
	}
	now := time.Now()
	// Read in the order of the rotation: lines of a file are newer than those of its
	// predecessors.
	limits := make([]int64, len(f.files))
	for i, file := range f.files {
		limits[i] = file.size()
	}
	for i, file := range f.files {
		if i < len(f.files)-1 {
			limits[i] = file.size() // the writer has gone on to the next
		}
		if err := file.read(limits[i], f.buffer, f.Tally.Line, now); err != nil {
			return fmt.Errorf("%s: %w", f.Path, err)
		}
	}
	f.files = slices.DeleteFunc(f.files, func(file *followed) bool {
		done := file != f.files[len(f.files)-1] && now.Sub(file.lastRead) > rotatedLife
		if done {
			file.file.Close()
		}
		return done
	})
	return nil
}

// openNext opens the file at Path, and those between, if it is another than the
// last one.
func (f *Follower) openNext() error {
	info, err := os.Stat(f.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // between two steps of a rotation
	}
	if err != nil {
		return err
	}
	var last fileID
	if n := len(f.files); n > 0 {
		last = f.files[n-1].id
		if idOf(info) == last {
			return nil
		}
	}
	files, found, err := f.openFrom(last)
	if err != nil {
		return err
	}
	if found {
		closeAll(files[:1])
		files = files[1:]
	}
	f.files = append(f.files, files...)
	return nil
}

// saveState saves the position, now and then, or because it is the last time.
func (f *Follower) saveState(last bool) {
	if n := len(f.files); n > 0 {
		file := f.files[n-1]
		f.keeper.save(f.Tally, savedState{File: &filePosition{file.id, file.offset}}, last)
	}
}

func open(name string) (*followed, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, err
	}
	if info.IsDir() {
		file.Close()
		return nil, fmt.Errorf("%s is a directory: name the log", name)
	}
	return &followed{file: file, id: idOf(info), lastRead: time.Now()}, nil
}

func closeAll(files []*followed) {
	for _, file := range files {
		file.file.Close()
	}
}

func idOf(info fs.FileInfo) fileID {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return fileID{uint64(stat.Dev), uint64(stat.Ino)}
	}
	return fileID{}
}

func (f *followed) size() int64 {
	info, err := f.file.Stat()
	if err != nil {
		return 0
	}
	return info.Size()
}

// read takes the lines before limit. A line whose end is not written yet stays.
func (f *followed) read(limit int64, buffer []byte, take func(string), now time.Time) error {
	if limit < f.offset { // truncated
		f.offset, f.skipping = 0, false
	}
	for f.offset < limit {
		n, err := f.file.ReadAt(buffer[:min(int64(len(buffer)), limit-f.offset)], f.offset)
		if err != nil && err != io.EOF {
			return err
		}
		chunk := buffer[:n]
		end := bytes.LastIndexByte(chunk, '\n') + 1
		switch {
		case end > 0:
			f.lines(chunk[:end], take)
			f.offset += int64(end)
			f.lastRead = now
		case n == len(buffer):
			if !f.skipping {
				take(string(chunk))
			}
			f.skipping = true
			f.offset += int64(n)
		default:
			return nil // the rest of a line
		}
	}
	return nil
}

// lines takes whole lines.
func (f *followed) lines(chunk []byte, take func(string)) {
	for line := range bytes.Lines(chunk) {
		if !f.skipping {
			take(string(bytes.TrimSuffix(line, []byte{'\n'})))
		}
		f.skipping = false
	}
}
