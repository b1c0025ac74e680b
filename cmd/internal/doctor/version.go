package doctor

import (
	"strconv"
	"strings"
)

// version is the first two numbers of a Postfix version.
type version struct{ major, minor int }

// parseVersion reads "3.10.13", and "3.12-20260101" of a snapshot.
func parseVersion(text string) (v version, ok bool) {
	text, _, _ = strings.Cut(text, "-")
	parts := strings.SplitN(text, ".", 3)
	if len(parts) < 2 {
		return v, false
	}
	major, err1 := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(parts[1])
	return version{major, minor}, err1 == nil && err2 == nil
}

func (v version) before(other version) bool {
	return v.major < other.major || v.major == other.major && v.minor < other.minor
}
