package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/socketmap/tlspolicy/syntax"
)

// OverrideKey says which lookups an override is for: one next hop if Port is set,
// else a domain, at whatever port and in brackets or not, or all below it. It is
// comparable.
type OverrideKey struct {
	Domain mtasts.Domain

	// Subdomains is set if the key is for every name below Domain and not for
	// Domain itself; the file writes ".example.com".
	Subdomains bool

	// Port is the port of a next hop; the file writes "[mx.example.com]:587" or
	// "example.com:587". "[mx.example.com]" has port 25.
	Port uint16
	// Host is set if the next hop is in brackets: Domain is the mail host itself.
	Host bool
}

// String returns the key in the file's form.
func (k OverrideKey) String() string {
	text := k.Domain.String()
	if k.Host {
		text = "[" + text + "]"
	}
	if k.Subdomains {
		text = "." + text
	}
	if k.Port != 0 {
		text += ":" + strconv.Itoa(int(k.Port))
	}
	return text
}

// Override is the answer that the operator gives in place of the daemon's. One of
// NotFound and Policy is set.
type Override struct {
	// NotFound answers as for a domain without a policy.
	NotFound bool

	// Policy is a line of Postfix's TLS policy table, "secure match=...".
	Policy string

	// Until is when the override ends; zero for never. From then on it counts
	// as if it were not there.
	Until time.Time
}

// overrideKey is a policy domain, its subdomains after a dot, or a next hop.
var overrideKey = kind[OverrideKey]{
	values: "DOMAIN, .DOMAIN, [HOST]:PORT or DOMAIN:PORT",
	parse: func(text string) (OverrideKey, error) {
		if strings.ContainsAny(text, "[:") {
			hop, ok := syntax.ParseNextHop(text)
			if !ok || hop.Port == 0 {
				return OverrideKey{}, fmt.Errorf("%s is not a next hop such as [mx.example.com]:587", quote(text))
			}
			return OverrideKey{Domain: hop.Domain, Port: hop.Port, Host: !hop.MX}, nil
		}
		name, subdomains := strings.CutPrefix(text, ".")
		domain, err := mtasts.ParseDomain(name)
		if err != nil {
			return OverrideKey{}, fmt.Errorf("%s is neither a domain nor a dot and a domain", quote(text))
		}
		return OverrideKey{Domain: domain, Subdomains: subdomains}, nil
	},
	valid: func(k OverrideKey) error {
		switch {
		case k.Domain.IsZero():
			return fmt.Errorf("a domain is missing")
		case k.Subdomains && k.Port != 0, k.Host && k.Port == 0:
			return fmt.Errorf("%v is neither a domain nor a next hop", k)
		}
		return nil
	},
}

// answer is notfound or a line of Postfix's TLS policy table: an Override without
// its end.
var answer = kind[Override]{
	values: syntax.NotFound + " or a TLS policy",
	format: func(o Override) string {
		if o.NotFound {
			return syntax.NotFound
		}
		return o.Policy
	},
	parse: func(text string) (Override, error) {
		if text == syntax.NotFound {
			return Override{NotFound: true}, nil
		}
		return Override{Policy: text}, nil
	},
	valid: func(o Override) error {
		if o.NotFound {
			return nil
		}
		return syntax.CheckPolicy(o.Policy)
	},
}

// override is an answer alone, or a section with it and its end.
type override struct {
	answer field
	place  *Override
}

func overrideAt(o *Override) field { return override{answer.at(o), o} }

func (o override) decode(r *report, key string, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		o.answer.decode(r, key, n)
		return
	}
	var until time.Time // decoding the answer sets the whole place
	before := len(r.errs)
	section{
		{"answer", "", o.answer},
		{"until", "", end.at(&until)},
	}.decode(r, key, n)
	if len(r.errs) == before && *o.place == (Override{}) {
		r.fail(n.Line, key, "an override without answer")
	}
	o.place.Until = until
}

func (o override) text() string {
	if o.place.Until.IsZero() {
		return o.answer.text()
	}
	return "{answer: " + o.answer.text() + ", until: " + scalar(end.text(o.place.Until)) + "}"
}

func (o override) values() string {
	return o.answer.values() + ", or {answer: ANSWER, until: DATE}"
}

// end is when something ends: a time, or a date, which stands for its beginning.
var end = kind[time.Time]{
	values: "a date or time",
	format: func(t time.Time) string {
		if t.Equal(t.Truncate(24 * time.Hour)) {
			return t.UTC().Format(time.DateOnly)
		}
		return t.UTC().Format(time.RFC3339Nano)
	},
	parse: func(text string) (time.Time, error) {
		t, err := time.Parse(time.DateOnly, text)
		if err != nil {
			t, err = time.Parse(time.RFC3339, text)
		}
		if err != nil {
			return t, fmt.Errorf("%s is neither a date such as 2026-12-01 (its beginning, in UTC) nor a time such as 2026-12-01T08:00:00Z", quote(text))
		}
		return t.UTC(), nil
	},
	valid: func(t time.Time) error {
		if t.IsZero() {
			return fmt.Errorf("a date is missing")
		}
		return nil
	},
}
