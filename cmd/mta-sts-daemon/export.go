package main

import (
	"bufio"
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/net/idna"

	"mta-sts-daemon/cmd/internal/admin"
	"mta-sts-daemon/cmd/internal/layout"
	"mta-sts-daemon/config"
	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/socketmap"
	"mta-sts-daemon/socketmap/tlspolicy"
	"mta-sts-daemon/socketmap/tlspolicy/syntax"
)

func newExport(load func() (config.Config, error)) *cobra.Command {
	var asEnforce bool
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Print the answers of the running daemon as a Postfix table",
		Long: `export prints a table that Postfix can read (texthash): the answers for every domain
whose policy the running daemon keeps, and the overrides of the configuration. Use it on
another host, or in place of the daemon for a while. The table is not updated. If DANE
takes precedence over a policy, the line is for a Postfix that does DANE; while DANE is
unknown, the line is that of the policy. The policies are for mail to the domains
themselves: next hops such as [a.example]:587 have only the lines of their own overrides.
A name of another script has two lines, because Postfix may ask for it in either form.
Warnings on standard error list what else the table cannot say.

In mode monitor the table is empty. With --as-enforce it has the answers of mode enforce,
and a count on standard error shows what mode enforce would do to mail to these domains.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := load()
			if err != nil {
				return err
			}
			var sum prospect
			all, err := listPolicies(cmd.Context(), connect(load), func(l admin.Listed) bool {
				sum.add(l)
				return true
			})
			if err != nil {
				return failure(cmd, err)
			}
			t := policyTable{lines: map[string]string{}}
			t.addPolicies(cfg, all, asEnforce)
			if asEnforce {
				cmd.PrintErrln("In mode enforce:", sum)
			}
			if cfg.Mode != config.ModeMonitor || asEnforce {
				t.addOverrides(cfg, time.Now())
			}
			t.addUnicode()
			for _, warning := range t.warnings {
				cmd.PrintErrln("Warning:", warning)
			}
			out := bufio.NewWriter(cmd.OutOrStdout())
			for _, key := range slices.Sorted(maps.Keys(t.lines)) {
				fmt.Fprintf(out, "%s %s\n", key, t.lines[key])
			}
			return out.Flush()
		},
	}
	cmd.Flags().BoolVar(&asEnforce, "as-enforce", false, "in mode monitor, print what mode enforce would answer")
	return cmd
}

// policyTable is a table of Postfix's TLS policies: a policy for each lookup key.
type policyTable struct {
	lines    map[string]string
	warnings []string // answers of the daemon that the table does not give
}

func (t *policyTable) warn(format string, args ...any) {
	t.warnings = append(t.warnings, fmt.Sprintf(format, args...))
}

func (t *policyTable) addPolicies(cfg config.Config, all []admin.Listed, asEnforce bool) {
	unsure := 0
	for _, p := range all {
		answer := p.Answer
		if asEnforce {
			answer = cmp.Or(p.Withheld, answer)
		}
		status, policy, _ := strings.Cut(answer, " ")
		enforced := slices.Contains(p.State, admin.StateEnforce) ||
			slices.Contains(p.State, admin.StateTesting) && cfg.Testing == config.TestingEnforce
		switch {
		case status == socketmap.OK.String() && p.Mode != "":
			t.lines[p.Domain] = policy
		case status == socketmap.Temp.String() && enforced:
			t.lines[p.Domain] = string(tlspolicy.AppendSecure(nil, &mtasts.Policy{MX: p.MX}))
			unsure++
		}
	}
	if unsure > 0 {
		t.warn("%s, for which the daemon answers TEMP while DANE is unknown, got the line of the policy; \"mta-sts-daemon policies --state temp\" lists them",
			layout.Count(unsure, "domain"))
	}
}

// addOverrides adds the overrides in force to a table that has the policies.
func (t *policyTable) addOverrides(cfg config.Config, now time.Time) {
	var keys []config.OverrideKey
	for key, o := range cfg.Overrides {
		if o.Until.IsZero() || now.Before(o.Until) {
			keys = append(keys, key)
		}
	}
	// Those of one next hop, which take precedence, come last.
	slices.SortFunc(keys, func(a, b config.OverrideKey) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(a.String(), b.String()))
	})
	atAnyPort := false
	for _, key := range keys {
		o := cfg.Overrides[key]
		lookups := []string{key.String()}
		if key.Port != 0 {
			lookups = syntax.NextHop{Domain: key.Domain, MX: !key.Host, Port: key.Port}.Forms()
		}
		for _, lookup := range lookups {
			if o.NotFound {
				delete(t.lines, lookup)
			} else {
				t.lines[lookup] = o.Policy
			}
		}
		atAnyPort = atAnyPort || key.Port == 0 && !o.NotFound
		if !o.NotFound && !o.Until.IsZero() {
			t.warn("the override of %v ends at %s, its line in the table does not", key, date(o.Until))
		}
	}
	for _, key := range keys {
		if cfg.Overrides[key].NotFound {
			t.warnOfParent(key)
		}
	}
	if atAnyPort {
		t.warn("the overrides of domains also answer for next hops such as [mx.example.com]:587, the table does not; add a line for each that transport_maps or relayhost names")
	}
}

// aLabel is an A-label (RFC 5890) with the character before it.
var aLabel = regexp.MustCompile(`(^|[.[])xn--[a-z0-9-]+`)

// addUnicode adds each line with such labels once more, with the labels that they stand
// for: Postfix asks for a domain as a message with SMTPUTF8 has it. In the keys of a table it
// takes ß for ss and ς for σ, which are the names of other domains.
func (t *policyTable) addUnicode() {
	omitted := 0
	for key, policy := range maps.Clone(t.lines) {
		key = aLabel.ReplaceAllStringFunc(key, func(label string) string {
			start := strings.Index(label, "xn--")
			unicode, err := idna.Display.ToUnicode(label[start:])
			if err != nil {
				return label
			}
			return label[:start] + unicode
		})
		if strings.ContainsAny(key, "ßς") {
			omitted++
			continue
		}
		t.lines[key] = policy
	}
	if omitted > 0 {
		t.warn("%s with ß or ς in the name: the table has only the xn-- form, because Postfix would find the other one for another domain, with ss or σ", layout.Count(omitted, "line"))
	}
}

// warnOfParent warns if Postfix finds no line for the override of key, which answers
// notfound, and then one of a parent domain. It looks for those only if the next hop is
// a domain without a port.
func (t *policyTable) warnOfParent(key config.OverrideKey) {
	if _, ok := t.lines[key.Domain.String()]; key.Host || key.Port != 0 && key.Port != dane.SMTPPort || ok && !key.Subdomains {
		return
	}
	for parent, more := key.Domain.Parent(); more; parent, more = parent.Parent() {
		if _, ok := t.lines["."+parent.String()]; ok {
			t.warn("the table cannot say notfound for %v, so Postfix applies the line of .%v; add a line with the level that you want", key, parent)
			return
		}
	}
}
