package mtasts_test

import (
	"errors"
	"testing"

	"mta-sts-daemon/resolver/mtasts"
)

// The errors of this package differ by type, not only by text.
func TestSyntaxErrorIsNotErrNoRecord(t *testing.T) {
	t.Parallel()
	_, err := mtasts.ParseRecord([]string{"v=STSv1;"})
	if errors.Is(err, mtasts.ErrNoRecord) {
		t.Errorf("a malformed record counts as none: %v", err)
	}
}

// checkSyntaxError checks the properties of every error about untrusted text: its
// kind, its line, and a message that is one short line of printable ASCII.
func checkSyntaxError(t *testing.T, err error, what string, line int) {
	t.Helper()
	var syntax *mtasts.SyntaxError
	if !errors.As(err, &syntax) {
		t.Errorf("error %v is a %T, want a *SyntaxError", err, err)
		return
	}
	if syntax.What != what || syntax.Line != line {
		t.Errorf("%v: is about %q, line %d; want %q, line %d", err, syntax.What, syntax.Line, what, line)
	}
	checkPrintable(t, err)
}

func checkPrintable(t *testing.T, err error) {
	t.Helper()
	const longest = 1000 // a bounded quotation, every byte escaped, and the words around it
	msg := err.Error()
	if len(msg) > longest {
		t.Errorf("message has %d bytes: %.200s", len(msg), msg)
	}
	for i := range len(msg) {
		if msg[i] < ' ' || msg[i] > '~' {
			t.Errorf("message is not printable ASCII at byte %d: %+q", i, msg)
			return
		}
	}
}
