package store

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"mta-sts-daemon/resolver/event"
)

// setAside renames a corrupt file, for those who want to look into it.
func (w *writer) setAside(why *corruption) error {
	name := asideName(w.path, time.Now())
	if err := os.Rename(w.path, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	w.errors.Add(1)
	event.StoreDamaged.Log(w.logger, fileAttr(w.path), slog.String("set_aside", name), event.Reason(why))
	return nil
}

// asideName is a name that no file has yet.
func asideName(path string, now time.Time) string {
	name := path + ".damaged-" + now.UTC().Format("20060102T150405Z")
	for free, n := name, 2; ; free, n = fmt.Sprintf("%s-%d", name, n), n+1 {
		if _, err := os.Lstat(free); err != nil {
			return free
		}
	}
}
