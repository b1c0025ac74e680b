package layout

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestOn(t *testing.T) {
	terminal := openTerminal(t, 132)
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, tt := range []struct {
		title, term, noColor string
		page                 func() Page
		width                int
		colour               bool
	}{
		{"terminal", "xterm", "", func() Page { return On(terminal) }, 132, true},
		{"NO_COLOR", "xterm", "1", func() Page { return On(terminal) }, 132, false},
		{"a terminal without colours", "dumb", "", func() Page { return On(terminal) }, 132, false},
		{"file", "xterm", "", func() Page { return On(file) }, DefaultWidth, false},
		{"buffer", "xterm", "", func() Page { return On(new(bytes.Buffer)) }, DefaultWidth, false},
	} {
		t.Setenv("TERM", tt.term)
		t.Setenv("NO_COLOR", tt.noColor)
		if p := tt.page(); p.Width != tt.width || p.Colour != tt.colour {
			t.Errorf("%s: width %d, colour %v", tt.title, p.Width, p.Colour)
		}
	}
}

// openTerminal returns a terminal of so many columns.
func openTerminal(t *testing.T, columns uint16) *os.File {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}); err != nil {
		t.Fatal(err)
	}
	return slave
}
