package explain

import (
	"cmp"
	"strings"

	"mta-sts-daemon/cmd/internal/layout"
)

// Limits of the published text that is printed; the JSON form has all of it.
const (
	maxTXT      = 5 // TXT records of a name
	maxPatterns = 20
	maxNames    = 5 // of a certificate
	maxLines    = 10
)

func (r Record) print(out *rows) {
	for _, txt := range r.TXT[:min(len(r.TXT), maxTXT)] {
		out.add("TXT", "%s", printed(txt))
	}
	if more := len(r.TXT) - maxTXT; more > 0 {
		out.add("", "and %d more", more)
	}
	if r.Alias != "" {
		out.add("CNAME", "%s is an alias of %s", r.Name, printed(r.Alias))
	}
	if r.ID != "" {
		out.add("Policy id", "%s, TTL %s", r.ID, lasts(r.TTL))
	}
	out.findings(r.Findings)
}

func (h *PolicyHost) print(out *rows) {
	if h == nil {
		return
	}
	out.add("Policy host", "%s", h.Name)
	for _, a := range h.Addresses[:min(len(h.Addresses), maxAddresses)] {
		switch a.State {
		case AddressUsed:
			out.add("Address", "%s", a.Address)
		case AddressUntried:
			out.add("Address", "%s, not needed", a.Address)
		default:
			out.paint(layout.Yellow, "Address", "%s %s: %s", a.Address, a.State, a.Problem)
		}
	}
	if more := len(h.Addresses) - maxAddresses; more > 0 {
		out.add("", "and %d more", more)
	}
	out.problem(h.AddressProblem)
	h.Certificate.print(out)
	if r := h.Response; r != nil {
		out.add("Response", "status %d, Content-Type %s", r.Status, cmp.Or(printed(r.ContentType), "not given"))
		if r.Location != "" {
			out.add("", "redirects to %s", printed(r.Location))
		}
	}
}

func (c *Certificate) print(out *rows) {
	if c == nil {
		return
	}
	out.add("Certificate", "for %s", cmp.Or(some(c.Names, maxNames), "no DNS name"))
	out.add("", "by %s", cmp.Or(printed(c.Issuer), "nobody"))
	if c.DaysLeft < 0 {
		out.paint(layout.Red, "", "to %s, ended", date(c.NotAfter))
	} else {
		out.add("", "to %s, %s left", date(c.NotAfter), layout.Count(c.DaysLeft, "day"))
	}
	if c.Problem != "" {
		out.paint(layout.Red, "", "not valid: %s", c.Problem)
	}
}

func (p *Policy) print(out *rows) {
	if p == nil {
		return
	}
	out.add("Policy", "%s", layout.Count(len(p.Text), "byte"))
	if p.Valid {
		out.add("Mode", "%s", p.Mode)
		out.add("Max age", "%s", lasts(p.MaxAge))
		if len(p.MX) > 0 {
			out.add("Policy's mx", "%s", some(p.MX, maxPatterns))
		}
	} else {
		lines := strings.Split(strings.TrimRight(p.Text, "\r\n"), "\n")
		for _, line := range lines[:min(len(lines), maxLines)] {
			out.add("", "%s", printed(strings.TrimRight(line, "\r")))
		}
		if more := len(lines) - maxLines; more > 0 {
			out.add("", "and %s", layout.Count(more, "more line"))
		}
	}
	out.findings(p.Findings)
}

func (d DANE) print(out *rows) {
	if d.Verdict != "" {
		text := d.Verdict
		if d.Reason != "" {
			text += ": " + printed(d.Reason)
		}
		out.add("DANE", "%s", text)
	} else {
		out.add("DANE", "%s", printed(d.Problem))
	}
}

func (t TLSRPT) print(out *rows) {
	if t.Problem != "" {
		out.add("TLSRPT", "%s", printed(t.Problem))
	} else {
		out.add("TLSRPT", "reports go to %s", some(t.RUA, maxNames))
	}
}

func (d *Daemon) print(out *rows) {
	switch {
	case d == nil:
		return
	case d.Problem != "":
		out.paint(layout.Yellow, "Daemon", "not asked: %s", d.Problem)
	case d.Known == nil:
		out.add("Daemon", "knew nothing of the domain")
	}
	if d.Known == nil {
		return
	}
	if p := d.Known.Policy; p != nil {
		out.add("Daemon", "has the policy of id %s, mode %s, fetched %s, to %s", printed(p.ID), p.Mode, date(p.Fetched), date(p.Expires))
		if d.Expired {
			out.paint(layout.Yellow, "", "which has passed")
		}
		if p.Failures > 0 {
			out.paint(layout.Yellow, "", "fetches that failed since: %d", p.Failures)
		}
	} else if absence := d.absence(); absence != "" {
		out.add("Daemon", "%s", absence)
	}
	for _, v := range d.Known.DANE {
		out.add("Daemon", "knows until %s of DANE at %s: %s", date(v.Until), v.NextHop, v.Kind)
	}
}
