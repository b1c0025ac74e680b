package lint

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"mta-sts-daemon/resolver/printable"
)

// ErrNoTLSRPT means that no TXT record begins with "v=TLSRPTv1;": nobody is
// asked to send the domain reports.
var ErrNoTLSRPT = errors.New("no TLSRPT record")

// TLSRPT reads the TXT records of _smtp._tls.DOMAIN (RFC 8460 section 3) and
// returns the addresses to which the domain wants its reports. The error is
// ErrNoTLSRPT, or one line of printable ASCII with the fault of the record.
func TLSRPT(txts []string) (rua []string, err error) {
	var found []string
	for _, txt := range txts {
		rest, ok := strings.CutPrefix(txt, tlsrptVersion)
		if ok && strings.HasPrefix(strings.TrimLeft(rest, wsp), ";") {
			found = append(found, rest)
		}
	}
	switch {
	case len(found) == 0:
		return nil, ErrNoTLSRPT
	case len(found) > 1:
		return nil, fmt.Errorf("there are %d TLSRPT records, RFC 8460 wants exactly one", len(found))
	}
	fields := strings.Split(found[0], ";")[1:]
	for i, field := range fields {
		field = strings.Trim(field, wsp)
		if field == "" && i == len(fields)-1 && i > 0 {
			break // the one optional delimiter at the end
		}
		name, value, ok := strings.Cut(field, "=")
		switch {
		case !ok || name == "" || value == "":
			return nil, fmt.Errorf("field %s is not name=value", printable.Quote(field))
		case name != "rua":
		default:
			uris, err := parseRUA(value)
			if err != nil {
				return nil, err
			}
			rua = append(rua, uris...)
		}
	}
	if rua == nil {
		return nil, errors.New("it has no rua, so reports go nowhere")
	}
	return rua, nil
}

// parseRUA is tlsrpt-rua: URIs with commas between them. mailto and https are
// all that RFC 8460 section 3 defines.
func parseRUA(value string) ([]string, error) {
	var rua []string
	for text := range strings.SplitSeq(value, ",") {
		text = strings.Trim(text, wsp)
		uri, err := url.Parse(text)
		switch {
		case err != nil || strings.ContainsFunc(text, notURI):
			return nil, fmt.Errorf("rua %s is not a URI", printable.Quote(text))
		case uri.Scheme == "mailto" && strings.Contains(uri.Opaque, "@"):
		case uri.Scheme == "https" && uri.Host != "":
		default:
			return nil, fmt.Errorf("rua %s is neither mailto:ADDRESS nor https://HOST/", printable.Quote(text))
		}
		rua = append(rua, text)
	}
	return rua, nil
}

// notURI reports whether r is not allowed in a rua: every character that a URI
// cannot have, and "!", which has to be encoded (RFC 8460 section 3).
func notURI(r rune) bool { return r <= ' ' || r > '~' || r == '!' || r == '"' }
