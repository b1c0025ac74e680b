package admin

import (
	"errors"
	"fmt"

	"mta-sts-daemon/resolver"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/socketmap/tlspolicy"
)

// ErrNotDomain says that no policy can belong to a name.
var ErrNotDomain = errors.New("not a domain that can have a policy")

// parseKey reads a domain or a next hop, as Postfix writes it. The error is
// ErrNotDomain, with the problem of the name.
func parseKey(text string) (resolver.NextHop, error) {
	hop, ok := tlspolicy.ParseKey(text)
	if ok {
		hop.Domain = hop.Domain.Clone() // it is kept, and text may be long
		return hop, nil
	}
	_, err := mtasts.ParseDomain(text)
	if invalid, ok := errors.AsType[*mtasts.SyntaxError](err); ok {
		return hop, fmt.Errorf("%w: %s", ErrNotDomain, invalid.Reason)
	}
	return hop, ErrNotDomain
}
