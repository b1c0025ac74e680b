package dnsclient

import (
	"strings"
	"time"
)

// specialUse are the top-level names below which software must not ask the DNS:
// RFC 7686 section 2, RFC 9476 section 2, RFC 6761 sections 6.4 and 6.3.
var specialUse = [...]string{"onion", "alt", "invalid", "localhost"}

// specialUseTTL is how long the absence of such a name holds. It never ends.
const specialUseTTL = 24 * time.Hour

// SpecialUse reports whether name, in lower case, is never asked of the DNS. A
// Client answers questions for such a name itself, without records.
func SpecialUse(name string) bool {
	name = strings.TrimSuffix(name, ".")
	top := name[strings.LastIndexByte(name, '.')+1:]
	for _, special := range specialUse {
		if top == special {
			return true
		}
	}
	return false
}
