package dnsclient

import "strings"

// joinStrings returns the strings of a TXT record joined, as bytes. The DNS library
// returns them in the form of a zone file: \DDD for a byte outside printable ASCII, \" and \\ (RFC 1035 section 5.1).
func joinStrings(presented []string) string {
	joined := strings.Join(presented, "")
	if strings.IndexByte(joined, '\\') < 0 {
		return joined
	}
	decoded := make([]byte, 0, len(joined))
	for i := 0; i < len(joined); i++ {
		b := joined[i]
		if b == '\\' && i+1 < len(joined) {
			i++
			b = joined[i]
			if isDigit(b) && i+2 < len(joined) {
				b = (b-'0')*100 + (joined[i+1]-'0')*10 + joined[i+2] - '0'
				i += 2
			}
		}
		decoded = append(decoded, b)
	}
	return string(decoded)
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }
