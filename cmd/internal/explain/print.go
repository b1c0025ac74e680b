package explain

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// Print lays the report out to be read.
func (r *Report) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(label, format string, args ...any) {
		fmt.Fprintf(t, "%s\t%s\n", label, fmt.Sprintf(format, args...))
	}
	row("Domain", "%s", r.Domain)
	for _, txt := range r.Records {
		row("TXT", "%s", printable(txt))
	}
	if r.ID != "" {
		row("Policy id", "%s", r.ID)
	}
	for _, address := range r.Addresses {
		row("Policy host", "%s", address)
	}
	if r.Mode != "" {
		row("Mode", "%s", r.Mode)
		row("Max age", "%v (%d s)", time.Duration(r.MaxAge)*time.Second, r.MaxAge)
	}
	for _, pattern := range r.MX {
		row("Policy's mx", "%s", pattern)
	}
	for _, mx := range r.MXHosts {
		row("MX host", "%s\t%s", printable(mx.Name), matchWord(mx.Matches))
	}
	if r.MXProblem != "" {
		row("Problem", "%s", printable(r.MXProblem))
	}
	if r.Problem != "" {
		row("Problem", "%s", printable(r.Problem))
	}
	row("DANE", "%s", printable(r.DANE))
	row("Verdict", "%s", r.Verdict)
	row("Postfix", "%s", r.Postfix)
	return t.Flush()
}

func matchWord(matches bool) string {
	if matches {
		return "matches"
	}
	return "matches no mx of the policy"
}

// printable keeps strangers' bytes from steering the terminal.
func printable(s string) string {
	quoted := fmt.Sprintf("%+q", s)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}
