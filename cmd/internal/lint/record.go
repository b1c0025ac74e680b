package lint

import (
	"strings"

	"mta-sts-daemon/resolver/printable"
)

const (
	recordVersion = "v=STSv1"
	tlsrptVersion = "v=TLSRPTv1"
	wsp           = " \t"
)

// Record looks at the TXT records of _mta-sts.DOMAIN for such as were meant to
// be an MTA-STS record and are passed over.
func Record(txts []string) []Finding {
	var f findings
	for _, txt := range txts {
		rest, ok := strings.CutPrefix(txt, recordVersion)
		switch folded := strings.ToLower(txt); {
		case ok && strings.HasPrefix(strings.TrimLeft(rest, wsp), ";"):
			f.fields(rest)
		case ok:
			f.add(Warning, 0, "%s is passed over: no semicolon behind %s", printable.Quote(txt), recordVersion)
		case strings.HasPrefix(strings.TrimLeft(txt, wsp+`"'`), recordVersion):
			f.add(Warning, 0, "%s is passed over: nothing may stand before %s", printable.Quote(txt), recordVersion)
		case strings.HasPrefix(folded, strings.ToLower(recordVersion)):
			f.add(Warning, 0, "%s is passed over: %s is case-sensitive", printable.Quote(txt), recordVersion)
		case strings.HasPrefix(folded, strings.ToLower(tlsrptVersion)):
			f.add(Warning, 0, "%s is passed over: a TLSRPT record belongs at _smtp._tls", printable.Quote(txt))
		case strings.HasPrefix(folded, "v=stsv"):
			f.add(Warning, 0, "%s is passed over: the only version is %s", printable.Quote(txt), recordVersion)
		case strings.Contains(folded, "stsv1"):
			f.add(Warning, 0, "%s is passed over: it does not begin with %s;", printable.Quote(txt), recordVersion)
		}
	}
	return f.all()
}

// fields finds fields that a record has no use for.
func (f *findings) fields(rest string) {
	ids := 0
	for field := range strings.SplitSeq(rest, ";") {
		name, _, ok := strings.Cut(strings.Trim(field, wsp), "=")
		switch {
		case !ok:
		case name != "id":
			f.add(Note, 0, "field %s is ignored; a record has v and id", printable.Quote(name))
		case ids > 0:
			f.add(Warning, 0, "it has more than one id, only the first counts")
		}
		if name == "id" {
			ids++
		}
	}
}
