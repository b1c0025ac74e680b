package reports

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"strings"
)

// Limits of one mail.
const (
	maxNesting  = 8 // parts within each other, attached messages included
	maxParts    = 1000
	maxInflated = 2 * maxReport
)

// message counts the reports that are attached to a mail. Senders give the attachments various
// media types, so the content alone identifies a report.
func (c *Collector) message(name string, data []byte) {
	if bytes.HasPrefix(data, mboxFrom) {
		_, data, _ = bytes.Cut(data, []byte("\n"))
	}
	msg, err := mail.ReadMessage(bytes.NewReader(data))
	if err != nil {
		return // no mail
	}
	before := c.found()
	w := walk{Collector: c, name: name, inflate: maxInflated}
	w.part(textproto.MIMEHeader(msg.Header), msg.Body, 0)
	if w.err != nil {
		c.problem(name, reasonOf(w.err))
	} else if c.found() == before && announcesReport(msg.Header) {
		c.problem(name, "the report in this mail cannot be found")
	}
}

// announcesReport reports whether a mail must have a report by its header, RFC 8460 section
// 5.3.
func announcesReport(h mail.Header) bool {
	_, params, _ := mime.ParseMediaType(h.Get("Content-Type"))
	return h.Get("TLS-Report-Domain") != "" || strings.EqualFold(params["report-type"], "tlsrpt")
}

// walk goes through the parts of a mail.
type walk struct {
	*Collector
	name    string
	parts   int
	inflate int64 // how many bytes may still come out of gzip
	err     error // the first reason why something was not read
}

func (w *walk) part(h textproto.MIMEHeader, body io.Reader, depth int) {
	if w.parts++; w.parts > maxParts || depth > maxNesting {
		w.err = fmt.Errorf("more than %d parts of a mail, or %d in each other", maxParts, maxNesting)
		return
	}
	// The type is known also if a parameter is malformed.
	mediaType, params, _ := mime.ParseMediaType(h.Get("Content-Type"))
	if boundary := params["boundary"]; strings.HasPrefix(mediaType, "multipart/") && boundary != "" {
		w.multipart(multipart.NewReader(body, boundary), depth)
		return
	}
	data, err := io.ReadAll(body) // at most maxMessage
	w.note(err)
	data = decodeTransfer(h.Get("Content-Transfer-Encoding"), data)
	if strings.HasPrefix(mediaType, "message/") && !isGzip(data) && !isJSON(data) {
		if msg, err := mail.ReadMessage(bytes.NewReader(data)); err == nil {
			w.part(textproto.MIMEHeader(msg.Header), msg.Body, depth+1)
		}
		return
	}
	w.leaf(data, strings.HasPrefix(mediaType, "text/"))
}

func (w *walk) multipart(r *multipart.Reader, depth int) {
	for w.parts <= maxParts {
		p, err := r.NextRawPart()
		if err != nil {
			w.note(err)
			return
		}
		w.part(p.Header, p, depth+1)
	}
}

// note keeps the first error. A mail may end without the line that ends its last part.
func (w *walk) note(err error) {
	if err != nil && w.err == nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		w.err = err
	}
}

// leaf counts the reports of one attachment. Prose may begin like JSON.
func (w *walk) leaf(data []byte, prose bool) {
	if bytes.HasPrefix(bytes.TrimSpace(data), base64Magic) {
		data = decodeBase64(data) // its encoding is not declared
	}
	if isGzip(data) {
		inflated, err := w.gunzip(data)
		if err != nil && !isJSON(inflated) {
			w.problem(w.name, reasonOf(err))
			return
		}
		data, prose = inflated, false
	}
	if !isJSON(data) {
		return
	}
	if prose && decode(trim(data), func(report) {}) != nil {
		return
	}
	w.json(w.name, data)
}

func isGzip(data []byte) bool { return bytes.HasPrefix(data, gzipMagic) }

// gunzip returns what there is, also if an error ends it.
func (w *walk) gunzip(data []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	limit := min(w.inflate, maxReport+1)
	inflated, err := io.ReadAll(io.LimitReader(r, limit))
	w.inflate -= int64(len(inflated))
	if int64(len(inflated)) == limit {
		return nil, fmt.Errorf("more than %d MiB come out of gzip", maxReport>>20)
	}
	return inflated, err
}

// base64Magic is how gzip begins in base64.
var base64Magic = []byte("H4sI")

func decodeTransfer(encoding string, data []byte) []byte {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "base64":
		return decodeBase64(data)
	case "quoted-printable":
		decoded, _ := io.ReadAll(quotedprintable.NewReader(bytes.NewReader(data))) // up to a fault
		return decoded
	}
	return data
}

// decodeBase64 decodes both alphabets, with or without padding and line ends, also several
// pieces after each other, and skips everything else.
func decodeBase64(data []byte) []byte {
	var decoded []byte
	for piece := range bytes.SplitSeq(bytes.Map(base64Byte, data), []byte("=")) {
		if len(piece)%4 == 1 {
			piece = piece[:len(piece)-1] // six bits are less than a byte
		}
		decoded, _ = base64.RawStdEncoding.AppendDecode(decoded, piece) // base64Byte has left nothing else
	}
	return decoded
}

func base64Byte(r rune) rune {
	switch {
	case 'A' <= r && r <= 'Z', 'a' <= r && r <= 'z', '0' <= r && r <= '9', r == '+', r == '/', r == '=':
		return r
	case r == '-':
		return '+'
	case r == '_':
		return '/'
	}
	return -1
}
