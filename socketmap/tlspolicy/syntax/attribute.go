package syntax

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// protocols are Postfix's names of the versions of TLS.
var protocols = []string{"SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"}

func anything(string) string { return "" }

func oneOf(words ...string) func(string) string {
	return func(value string) string {
		if containsFold(words, value) {
			return ""
		}
		return fmt.Sprintf("%s is not one of %s", quote(value), strings.Join(words, ", "))
	}
}

// validProtocols checks a list such as ">=TLSv1.2" or "!SSLv2:!SSLv3". Bounds
// may be numbers in hexadecimal too.
func validProtocols(value string) string {
	for item := range strings.SplitSeq(value, ":") {
		name, bound := strings.CutPrefix(item, ">=")
		if !bound {
			name, bound = strings.CutPrefix(item, "<=")
		}
		if !bound {
			name = strings.TrimPrefix(item, "!")
		} else if _, err := strconv.ParseUint(strings.TrimPrefix(name, "0x"), 16, 31); err == nil {
			continue
		}
		if !containsFold(protocols, name) {
			return fmt.Sprintf("%s is not one of %s, with >=, <= or ! before it",
				quote(item), strings.Join(protocols, ", "))
		}
	}
	return ""
}

func validServerName(value string) string {
	if !IsHostName(value) {
		return quote(value) + " is not a host name"
	}
	return ""
}

func validTrustFile(value string) string {
	if !filepath.IsAbs(value) {
		return quote(value) + " is not an absolute path"
	}
	return ""
}

// validMatch checks the value of match: fingerprints separated by "|", or names
// separated by ":".
func validMatch(level, value string) string {
	if level == "fingerprint" {
		if slices.Contains(strings.Split(value, "|"), "") {
			return quote(value) + " has an empty fingerprint"
		}
		return ""
	}
	for pattern := range strings.SplitSeq(value, ":") {
		if strings.HasPrefix(pattern, "*.") {
			return fmt.Sprintf("%s; Postfix writes it without the star, %s", quote(pattern), quote(pattern[1:]))
		}
		if !IsHostName(strings.TrimPrefix(pattern, ".")) {
			return quote(pattern) + " is not a host name, .domain, hostname, nexthop or dot-nexthop"
		}
	}
	return ""
}

func containsFold(words []string, word string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.EqualFold(w, word) })
}
