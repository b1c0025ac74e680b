package simulation

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing/synctest"
	"time"

	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/store"
)

// unwritten is how long a change waits until it is in the file, at most.
const unwritten = time.Second

// kill ends the process as kill -9 or a power failure in the middle of a write does: what
// was not written within the last second may be lost, and of the last transaction some
// pages are on disk and others are not.
func (n *node) kill(seed uint64) error {
	if n.inMemory {
		return n.stop()
	}
	synctest.Wait() // nothing is being written
	unsure, name := n.w.nowLocked()-unwritten, n.path
	if n.full {
		name = n.aside()
	}
	if n.full || n.w.nowLocked()-n.emptied < longestWriteRetry {
		unsure = n.fullSince - unwritten
	}
	before, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	time.Sleep(1500 * time.Millisecond) // a transaction at most
	synctest.Wait()
	after, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	killed := n.w.nowLocked()
	if err := n.stop(); err != nil {
		return err
	}
	n.w.locked(func(instant) { n.forget(unsure, killed) })
	n.nextPath()
	if err := os.MkdirAll(filepath.Dir(n.path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(n.path, torn(before, after, rand.New(rand.NewPCG(seed, 0))), 0o600)
}

// torn returns a file in the middle of the transaction between the two, or after it.
func torn(before, after []byte, random *rand.Rand) []byte {
	const page = 4096
	if transaction(after)-transaction(before) != 1 || random.IntN(2) == 0 {
		return after
	}
	mixed := bytes.Clone(after)
	for at := 0; at < len(before); at += page {
		if at < 2*page || random.IntN(2) == 0 { // the meta pages come last
			copy(mixed[at:at+page], before[at:at+page])
		}
	}
	return mixed
}

// transaction returns the number of the last transaction in a bbolt file: its two meta
// pages have one each.
func transaction(file []byte) uint64 {
	const page, at = 4096, 16 + 48
	if len(file) < 2*page {
		return 0
	}
	return max(binary.NativeEndian.Uint64(file[at:]), binary.NativeEndian.Uint64(file[page+at:]))
}

// A full disk: the directory is moved aside and a file is in its place, so that every write
// fails, while the open file can still be read.

func (n *node) aside() string {
	return filepath.Join(filepath.Dir(n.path)+".aside", filepath.Base(n.path))
}

func (n *node) fillDisk() error {
	if n.full || n.inMemory {
		return nil
	}
	synctest.Wait() // a write at this moment would make the directory again
	n.w.locked(func(now instant) { n.full, n.fullSince = true, now })
	dir := filepath.Dir(n.path)
	return errors.Join(os.Rename(dir, filepath.Dir(n.aside())), os.WriteFile(dir, nil, 0o600))
}

func (n *node) emptyDisk() error {
	if !n.full {
		return nil
	}
	for i := range manyChanges {
		if n.queueFull && n.r != nil {
			n.st.Delete(domain("other-%d", i))
		}
	}
	n.w.locked(func(now instant) { n.full, n.queueFull, n.emptied = false, false, now })
	dir := filepath.Dir(n.path)
	return errors.Join(os.Remove(dir), os.Rename(filepath.Dir(n.aside()), dir))
}

// manyChanges is how many changes take more than the store has room for.
const manyChanges = 1300

// cram lets changes of other domains take all the room for what waits to be written
// (BEHAVIOUR, life: what waits is limited, removals are not).
func (n *node) cram() {
	if !n.full || n.queueFull {
		return
	}
	text := strings.Repeat("x", 64<<10)
	for i := range manyChanges {
		if i == 1100 { // the remaining space suffices for small changes
			text = ""
		}
		n.st.Put(store.Entry{Domain: domain("other-%d", i), ID: "1", Policy: mtasts.Policy{Mode: mtasts.ModeTesting, MaxAge: 366 * day, Text: text},
			Fetched: store.Fetched{Wall: n.w.machine.Wall()}, Next: clock.Never, Purges: n.st.Purges()})
	}
	size := 0
	for i := range manyChanges {
		e, _ := n.st.Get(domain("other-%d", i))
		size += len(e.Policy.Text)
	}
	n.w.locked(func(instant) {
		n.queueFull = true
		if size > 64<<20 {
			n.violation("changes of %d bytes wait to be written", size)
		}
	})
}
