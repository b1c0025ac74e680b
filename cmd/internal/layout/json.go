package layout

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf16"
)

// WriteJSON writes a value as indented JSON in ASCII: a terminal takes some characters
// that JSON does not escape for commands.
func WriteJSON(w io.Writer, value any) error {
	var encoded bytes.Buffer
	e := json.NewEncoder(&encoded)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(value); err != nil {
		return err
	}
	var ascii bytes.Buffer
	for _, c := range encoded.String() {
		switch {
		case c < 0x7f:
			ascii.WriteRune(c)
		case c <= 0xffff:
			fmt.Fprintf(&ascii, `\u%04x`, c)
		default:
			high, low := utf16.EncodeRune(c)
			fmt.Fprintf(&ascii, `\u%04x\u%04x`, high, low)
		}
	}
	_, err := ascii.WriteTo(w)
	return err
}
