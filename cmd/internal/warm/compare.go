package warm

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"mta-sts-daemon/config"
	"mta-sts-daemon/resolver/printable"
	"mta-sts-daemon/socketmap"
)

const (
	// compareMap is the map name of a comparison: postfix-tlspol knows few others, and
	// postfix-mta-sts-resolver answers every name.
	compareMap = "QUERY"
	// compareTimeout is how long the other program may take to answer.
	compareTimeout = 30 * time.Second
	// maxAnswer is how much of an answer is printed, in bytes.
	maxAnswer = 1000
)

// A Comparison asks another program next to the daemon and keeps the differences.
type Comparison struct {
	Other config.Address
	Look  func(ctx context.Context, mapName, key string) (answer string, err error) // asks the daemon

	mu     sync.Mutex
	equal  int
	differ []Difference
}

// A Difference is a domain for which the two answers mean different things to Postfix.
type Difference struct {
	Domain string `json:"domain"`
	Ours   string `json:"ours"`
	Other  string `json:"other"`
}

// Differences is the result of a Comparison, by domain.
type Differences struct {
	Equal       int          `json:"equal"`
	Differences []Difference `json:"differences"`
}

// LookUp asks both. It is a Lookup: its answer is the daemon's.
func (c *Comparison) LookUp(ctx context.Context, key string) (string, error) {
	ours, err := c.Look(ctx, compareMap, key)
	if err != nil {
		return "", err
	}
	other, err := c.Ask(ctx, key)
	if err != nil {
		return "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if sameToPostfix(ours, other) {
		c.equal++
	} else {
		c.differ = append(c.differ, Difference{key, forPeople(ours), forPeople(other)})
	}
	return ours, nil
}

func forPeople(answer string) string { return printable.Line(strings.TrimSpace(answer), maxAnswer) }

// Ask asks the other program alone.
func (c *Comparison) Ask(ctx context.Context, key string) (answer string, err error) {
	ctx, cancel := context.WithTimeout(ctx, compareTimeout)
	defer cancel()
	client, err := socketmap.Dial(ctx, c.Other.Network, c.Other.Address)
	if err != nil {
		return "", err
	}
	defer client.Close()
	reply, err := client.Lookup(ctx, compareMap, key)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s %s", reply.Status, reply.Data), nil
}

// Result returns the result so far.
func (c *Comparison) Result() Differences {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := slices.SortedFunc(slices.Values(c.differ), func(a, b Difference) int { return cmp.Compare(a.Domain, b.Domain) })
	return Differences{c.equal, append([]Difference{}, found...)}
}

// sameToPostfix reports whether two answers have Postfix do the same: with one level, one set
// of names to match and one way to ask for a certificate. Reasons and report attributes do not
// count.
func sameToPostfix(a, b string) bool { return slices.Equal(meaning(a), meaning(b)) }

// meaning returns the status, the level and the sorted attributes of an answer.
func meaning(answer string) []string {
	status, data, _ := strings.Cut(answer, " ")
	fields := []string{status}
	if status != "OK" {
		return fields
	}
	for i, field := range strings.Fields(data) {
		name, value, _ := strings.Cut(field, "=")
		switch {
		case i == 0:
			fields = append(fields, field)
		case name == "policy_type", name == "policy_domain", name == "policy_ttl", name == "mx_host_pattern", name == "{":
			// Report attributes are the last ones.
			slices.Sort(fields[2:])
			return fields
		case name == "match":
			patterns := strings.Split(strings.ToLower(value), ":")
			slices.Sort(patterns)
			fields = append(fields, name+"="+strings.Join(slices.Compact(patterns), ":"))
		default:
			fields = append(fields, field)
		}
	}
	if len(fields) > 2 {
		slices.Sort(fields[2:])
	}
	return fields
}
