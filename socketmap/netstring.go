package socketmap

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Limits of socketmap_table(5) replies, in bytes.
const (
	maxReply = 100_000
	// maxData is the size of the longest data that fits with any status.
	maxData = maxReply - len("100000:NOTFOUND ,")
)

// Netstrings is the protocol of socketmap_table(5).
func Netstrings() Protocol { return netstrings{} }

type netstrings struct{}

func (netstrings) next(in string) (string, int, error) { return netstring(in, MaxRequest) }

var errNoSpace = errors.New("the request is not a map name, a space and a key")

// netstring cuts the first netstring off buf. It returns the payload and how many
// bytes of buf the netstring takes, 0 if it is not complete. A payload over limit
// is an error as soon as its length is known.
func netstring[T string | []byte](buf T, limit int) (payload T, n int, err error) {
	digits := 0
	length := 0
	for ; digits < len(buf) && isDigit(buf[digits]); digits++ {
		length = length*10 + int(buf[digits]-'0')
		if length > limit {
			return payload, 0, &ProtocolError{fmt.Sprintf("netstring: longer than %d bytes", limit)}
		}
		if digits > 0 && buf[0] == '0' {
			return payload, 0, &ProtocolError{"netstring: its length begins with 0"}
		}
	}
	if digits == len(buf) {
		return payload, 0, nil
	}
	if digits == 0 || buf[digits] != ':' {
		return payload, 0, &ProtocolError{"netstring: no length and colon"}
	}
	end := digits + 1 + length
	if end >= len(buf) {
		return payload, 0, nil
	}
	if buf[end] != ',' {
		return payload, 0, &ProtocolError{"netstring: no comma at its end"}
	}
	return buf[digits+1 : end], end + 1, nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// parse reads NAME SP KEY.
func (netstrings) parse(text string, req *Request) error {
	name, key, ok := strings.Cut(text, " ")
	if !ok {
		return errNoSpace
	}
	req.Map, req.Key, req.Fits = name, key, fitsNetstring
	return nil
}

func fitsNetstring(data []byte) bool { return len(data) <= maxData }

const tooLong = "the answer is longer than Postfix reads"

// appendRequest appends the netstring that asks the named map for key.
func appendRequest(dst []byte, name, key string) []byte {
	dst = strconv.AppendInt(dst, int64(len(name)+1+len(key)), 10)
	dst = append(dst, ':')
	dst = append(dst, name...)
	dst = append(dst, ' ')
	dst = append(dst, key...)
	return append(dst, ',')
}

// words of socketmap replies. Postfix requires the space even if no data follows.
var words = [...]string{OK: "OK ", NotFound: "NOTFOUND ", Temp: "TEMP ", Perm: "PERM "}

func (netstrings) appendReply(dst []byte, reply Reply) []byte {
	if !fitsNetstring(reply.Data) {
		reply = Reply{Temp, []byte(tooLong)}
	}
	word := words[reply.Status]
	dst = strconv.AppendInt(dst, int64(len(word)+len(reply.Data)), 10)
	dst = append(dst, ':')
	dst = append(dst, word...)
	dst = append(dst, reply.Data...)
	return append(dst, ',')
}

// parseReply reads the payload of a socketmap reply. Data shares its memory.
func parseReply(payload []byte) (Reply, error) {
	for status := OK; status <= Perm; status++ {
		if data, ok := bytes.CutPrefix(payload, []byte(words[status])); ok {
			return Reply{status, data}, nil
		}
	}
	return Reply{}, &ProtocolError{fmt.Sprintf("reply: %+.40q", payload)}
}
