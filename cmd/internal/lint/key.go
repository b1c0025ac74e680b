package lint

import "strings"

const (
	keyMX     = "mx"
	keyMode   = "mode"
	maxKeyLen = 32
	alnum     = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
)

// knownKeys are those of RFC 8461 section 3.2. Never changed.
var knownKeys = []string{"version", keyMode, keyMX, "max_age"}

// isKey tells keys from other text with a colon in it, such as a web page's.
func isKey(s string) bool {
	return s != "" && len(s) <= maxKeyLen && strings.Trim(s, alnum+"_-.") == ""
}

// resembles returns the known key that an unknown one is likely to stand for: the
// two differ in case and punctuation only, or by one typing error. It returns ""
// if no known key is similar.
func resembles(key string) string {
	folded := fold(key)
	for _, known := range knownKeys {
		want := fold(known)
		if folded == want || len(want) > 2 && oneSlip(folded, want) {
			return known
		}
	}
	return ""
}

func fold(key string) string {
	return strings.NewReplacer("-", "", "_", "", ".", "", " ", "").Replace(strings.ToLower(key))
}

// oneSlip reports whether a and b differ by one typing error: one byte added,
// missing or changed, or two neighbours swapped.
func oneSlip(a, b string) bool {
	if len(a) < len(b) {
		a, b = b, a
	}
	i := 0
	for i < len(b) && a[i] == b[i] {
		i++
	}
	switch rest := a[min(i+1, len(a)):]; {
	case len(a) == len(b)+1:
		return rest == b[i:]
	case len(a) != len(b) || i == len(b):
		return false
	case rest == b[i+1:]:
		return true
	default:
		return i+1 < len(b) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
	}
}
