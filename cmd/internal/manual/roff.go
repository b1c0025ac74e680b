package manual

import (
	"fmt"
	"strings"
	"time"
)

// A page is a manual page as it grows, in the macros of man(7).
type page struct{ strings.Builder }

// newPage begins a page: its name and section, header and footer.
func newPage(name, section string, e Edition) *page {
	var p page
	date := ""
	if !e.Date.IsZero() {
		date = e.Date.UTC().Format(time.DateOnly)
	}
	fmt.Fprintf(&p, ".TH \"%s\" %s \"%s\" \"%s %s\"\n", strings.ToUpper(name), section, date, program, e.Version)
	return &p
}

// macro writes a line that asks for something.
func (p *page) macro(name string, args ...string) {
	p.WriteString("." + name)
	for _, a := range args {
		p.WriteString(` "` + escape(a) + `"`)
	}
	p.WriteByte('\n')
}

func (p *page) heading(name string)    { p.macro("SH", name) }
func (p *page) subheading(name string) { p.macro("SS", name) }

// item writes a term and its description.
func (p *page) item(term, about string) {
	p.macro("TP")
	p.macro("B", term)
	p.prose(about, "IP")
}

// paragraphs writes prose that stands by itself.
func (p *page) paragraphs(prose string) { p.prose(prose, "PP") }

// prose writes paragraphs that an empty line parts; lines that begin with a
// blank stand as they are. The macro begins another paragraph like the first.
func (p *page) prose(prose, paragraph string) {
	literal := false
	set := func(on bool) {
		if on != literal {
			p.macro(map[bool]string{true: "EX", false: "EE"}[on])
			literal = on
		}
	}
	fresh := true // the macro before has begun a paragraph
	for line := range strings.SplitSeq(prose, "\n") {
		switch {
		case line == "":
			set(false)
			fresh = false
			continue
		case !fresh:
			p.macro(paragraph)
			fresh = true
		}
		set(line[0] == ' ' || line[0] == '\t')
		fmt.Fprintln(p, escapeLine(line))
	}
	set(false)
}

// escaper writes characters that roff takes for its own, or would replace by
// prettier ones that no shell understands.
var escaper = strings.NewReplacer(
	`\`, `\e`, `-`, `\-`, `"`, `\(dq`, `'`, `\(aq`, "`", `\(ga`, `^`, `\(ha`, `~`, `\(ti`)

func escape(s string) string { return escaper.Replace(s) }

// escapeLine escapes a line of text, which must not look like a macro.
func escapeLine(line string) string {
	line = escape(line)
	if strings.HasPrefix(line, ".") {
		return `\&` + line
	}
	return line
}
