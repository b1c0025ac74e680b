package outcomes

import (
	"fmt"
	"strconv"
	"strings"

	"mta-sts-daemon/cmd/internal/layout"
)

// maxPrinted is how many domains a person is shown.
const maxPrinted = 10

// Print writes the summary for a person.
func (s Summary) Print(page layout.Page) error {
	if len(s.Deliveries) == 0 {
		return page.Paragraph("No delivery by Postfix's smtp client was found. Other lines and lmtp are left out.")
	}
	steps := []func(layout.Page) error{s.printBlind, s.printFigures, s.printDeliveries, s.printDomains}
	for _, step := range steps {
		if err := step(page); err != nil {
			return err
		}
	}
	return nil
}

func (s Summary) printBlind(page layout.Page) error {
	if !s.Blind {
		return nil
	}
	return page.Paragraph("How mail was encrypted is not known: the log says nothing of TLS, because smtp_tls_loglevel is 0, which is " +
		"Postfix's default. To change that: postconf -e smtp_tls_loglevel=1 && postfix reload. (Postfix 3.11 needs it no more.)\n")
}

func (s Summary) printFigures(page layout.Page) error {
	var messages []string
	for _, m := range s.Messages {
		messages = append(messages, fmt.Sprintf("%d %s", m.Count, m.Status))
	}
	rows := [][2]layout.Cell{
		label("Log", fmt.Sprintf("from %s to %s", printable(s.Since), printable(s.Until))),
		label("Messages", strings.Join(messages, ", ")),
		label("Sent encrypted", s.Shares.Encrypted.String()),
		label("Sent verified", s.Shares.Verified.String()),
		label("Enforcement success", s.Shares.Enforced.String()),
		label("Failed because of TLS", s.Shares.TLSDeferred.String()),
		label("Policy retrieval", "is in the daemon's metrics: mta_sts_policy_fetches_total"),
	}
	if s.Incomplete > 0 {
		rows = append(rows, label("Not counted", layout.Count(s.Incomplete, "delivery line")+" cut off"))
	}
	return page.List(rows)
}

func label(name, text string) [2]layout.Cell {
	return [2]layout.Cell{layout.Text(name), layout.Text(text)}
}

// String is the share for a person, who needs the numbers to judge it.
func (s Share) String() string {
	if s.All == 0 {
		return "not known"
	}
	return fmt.Sprintf("%.1f %%, %d of %d", 100*float64(s.Part)/float64(s.All), s.Part, s.All)
}

func (s Summary) printDeliveries(page layout.Page) error {
	var rows [][]layout.Cell
	for _, d := range s.Deliveries {
		rows = append(rows, []layout.Cell{layout.Text(d.Policy), layout.Text(d.TLS), layout.Text(d.Status), layout.Text(count(d.Count))})
	}
	fmt.Fprintln(page, "\nAttempts, one for each recipient. POLICY is what the daemon knows today.")
	return page.Table([]string{"POLICY", "TLS", "STATUS", "COUNT"}, rows)
}

func (s Summary) printDomains(page layout.Page) error {
	if len(s.Failures) == 0 {
		return nil
	}
	var rows [][]layout.Cell
	for _, f := range s.Failures {
		rows = append(rows, []layout.Cell{layout.Text(f.Reason), layout.Text(count(f.Count))})
	}
	fmt.Fprintln(page, "\nFailed because of TLS")
	if err := page.Table([]string{"REASON", "COUNT"}, rows); err != nil {
		return err
	}
	fmt.Fprintln(page, "\nDomains that fail most")
	var list [][2]layout.Cell
	for i, d := range s.Domains {
		if i == maxPrinted || len(d.Failures) == 0 {
			break
		}
		list = append(list, label(printable(d.Domain), fmt.Sprintf("policy %s, %d sent, %d deferred, %d bounced", d.Policy, d.Sent, d.Deferred, d.Bounced)))
		for _, f := range d.Failures {
			list = append(list, label("", fmt.Sprintf("%s %d: %s", f.Reason, f.Count, printable(f.Sample))))
		}
	}
	return page.List(list)
}

func count(n uint64) string { return strconv.FormatUint(n, 10) }

// printable quotes all but printable ASCII, because the log has untrusted bytes.
func printable(s string) string {
	quoted := strconv.QuoteToASCII(s)
	if quoted[1:len(quoted)-1] == s {
		return s
	}
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}
