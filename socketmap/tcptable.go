package socketmap

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// maxLine is the size of the longest tcp_table(5) reply that Postfix reads, in
// bytes with its newline. If a reply is longer, Postfix assumes that the server is
// broken and tries ten times.
const maxLine = 4096

// TCPTable is the protocol of tcp_table(5). It has no map names: every request
// is for the map called name.
func TCPTable(name string) Protocol { return &tcpTable{name} }

type tcpTable struct{ name string }

// next cuts off a line. It may end in CRLF.
func (*tcpTable) next(in string) (string, int, error) {
	end := strings.IndexByte(in, '\n')
	if end > MaxRequest || end < 0 && len(in) > MaxRequest {
		return "", 0, &ProtocolError{fmt.Sprintf("line: longer than %d bytes", MaxRequest)}
	}
	if end < 0 {
		return "", 0, nil
	}
	return strings.TrimSuffix(in[:end], "\r"), end + 1, nil
}

var (
	errNoGet = errors.New("the request is not get, a space and a key")
	errHex   = errors.New("the request has a % without two hexadecimal digits")
)

// parse reads get SP KEY.
func (p *tcpTable) parse(text string, req *Request) error {
	encoded, ok := strings.CutPrefix(text, "get ")
	if !ok {
		return errNoGet
	}
	key, err := url.PathUnescape(encoded)
	if err != nil {
		return errHex
	}
	req.Map, req.Key, req.Fits = p.name, key, fitsLine
	return nil
}

func (*tcpTable) appendReply(dst []byte, reply Reply) []byte {
	code, text := "400 ", reply.Data
	switch reply.Status {
	case OK:
		code = "200 "
	case NotFound:
		code = "500 "
		if len(text) == 0 {
			text = []byte("not found") // without a text Postfix defers the mail
		}
	}
	if !fitsLine(text) {
		code, text = "400 ", []byte(tooLong+" from a tcp_table, use a socketmap")
	}
	return append(appendQuoted(append(dst, code...), text), '\n')
}

// fitsLine counts the bytes that appendQuoted would write.
func fitsLine(data []byte) bool {
	n := len("200 \n") + len(data)
	if n+len(data)*(len("%XX")-1) <= maxLine {
		return true // even if every byte is coded
	}
	for _, c := range data {
		if !plain(c) {
			n += len("%XX") - 1
		}
	}
	return n <= maxLine
}

// plain reports whether c is written as it is: printable, no space and no %.
func plain(c byte) bool { return ' ' < c && c <= '~' && c != '%' }

func appendQuoted(dst, text []byte) []byte {
	const digits = "0123456789ABCDEF"
	start := 0 // of bytes that need no code
	for i, c := range text {
		if !plain(c) {
			dst = append(dst, text[start:i]...)
			dst = append(dst, '%', digits[c>>4], digits[c&15])
			start = i + 1
		}
	}
	return append(dst, text[start:]...)
}
