package load

import (
	"bytes"
	"fmt"
	"strconv"
)

// Protocol is how lookups are written and replies are read.
type Protocol interface {
	appendRequest(dst, key []byte) []byte
	// next returns the first reply in buf and its length in bytes; 0 if it is
	// incomplete.
	next(buf []byte) (status, int, error)
}

// status is a reply's status, as the result counts it.
type status int

const (
	found status = iota
	notFound
	failed // TEMP, PERM, 400
	statuses
)

// maxDigits is those of the longest reply that Postfix reads.
const maxDigits = len("100000")

// Socketmap is socketmap_table(5), asking the map of that name.
func Socketmap(name string) Protocol { return socketmap{name + " "} }

type socketmap struct{ prefix string }

func (p socketmap) appendRequest(dst, key []byte) []byte {
	dst = strconv.AppendInt(dst, int64(len(p.prefix)+len(key)), 10)
	dst = append(dst, ':')
	dst = append(dst, p.prefix...)
	dst = append(dst, key...)
	return append(dst, ',')
}

func (p socketmap) next(buf []byte) (status, int, error) {
	length, digits := 0, 0
	for digits < len(buf) && '0' <= buf[digits] && buf[digits] <= '9' {
		length = 10*length + int(buf[digits]-'0')
		digits++
	}
	end := digits + len(":") + length
	switch {
	case digits > maxDigits:
		return 0, 0, fmt.Errorf("a netstring too long: %.60q", buf)
	case len(buf) <= end:
		return 0, 0, nil
	case digits == 0 || buf[digits] != ':' || buf[end] != ',':
		return 0, 0, fmt.Errorf("no netstring: %.60q", buf)
	}
	payload := buf[digits+1 : end]
	switch {
	case bytes.HasPrefix(payload, []byte("OK ")):
		return found, end + 1, nil
	case bytes.HasPrefix(payload, []byte("NOTFOUND ")):
		return notFound, end + 1, nil
	default:
		return failed, end + 1, nil
	}
}

// TCPTable is tcp_table(5).
func TCPTable() Protocol { return tcpTable{} }

type tcpTable struct{}

func (tcpTable) appendRequest(dst, key []byte) []byte {
	dst = append(dst, "get "...)
	dst = append(dst, key...) // a host name needs no %XX
	return append(dst, '\n')
}

func (tcpTable) next(buf []byte) (status, int, error) {
	end := bytes.IndexByte(buf, '\n')
	switch {
	case end < 0:
		return 0, 0, nil
	case bytes.HasPrefix(buf, []byte("200 ")):
		return found, end + 1, nil
	case bytes.HasPrefix(buf, []byte("500 ")):
		return notFound, end + 1, nil
	case bytes.HasPrefix(buf, []byte("400 ")):
		return failed, end + 1, nil
	default:
		return 0, 0, fmt.Errorf("no reply of tcp_table: %.60q", buf)
	}
}
