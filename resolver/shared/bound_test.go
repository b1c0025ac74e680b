package shared

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestReplyBound(t *testing.T) {
	t.Parallel()
	const full = maxReply - 20
	for name, tc := range map[string]struct {
		stream string
		want   error
	}{
		"simple":               {"+OK\r\n-ERR no\r\n:12\r\n", nil},
		"strings":              {"$3\r\na\nb\r\n$0\r\n\r\n$-1\r\n+OK\r\n", nil},
		"a string of lines":    {"$16\r\n$99999999999999\n\r\n+OK\r\n", nil},
		"arrays":               {"*2\r\n*1\r\n:1\r\n$1\r\nx\r\n*0\r\n*-1\r\n+OK\r\n", nil},
		"maps":                 {"%2\r\n+a\r\n$1\r\nx\r\n+b\r\n~1\r\n_\r\n,1.5\r\n#t\r\n", nil},
		"attributes":           {"|1\r\n+a\r\n(1\r\n>1\r\n=5\r\ntxt:x\r\n!1\r\nx\r\n", nil},
		"a long map":           {fmt.Sprintf("%%%d\r\n", maxReply/minElement/2), errReplyTooLong},
		"the longest":          {fmt.Sprintf("$%d\r\n%s\r\n+OK\r\n", full, strings.Repeat("x", full)), nil},
		"many short ones":      {strings.Repeat("$3\r\nabc\r\n", 2*maxReply/9), nil},
		"a long string":        {fmt.Sprintf("$%d\r\n", maxReply), errReplyTooLong},
		"a string without end": {"$9223372036854775807\r\n", errReplyTooLong},
		"beyond any number":    {"$99999999999999999999\r\n", errReplyTooLong},
		"a long array":         {fmt.Sprintf("*%d\r\n", maxReply/minElement), errReplyTooLong},
		"arrays of arrays":     {strings.Repeat("*1000\r\n", 1000), errReplyTooLong},
		"a deep array":         {strings.Repeat("*1\r\n", maxReply/4), errReplyTooLong},
		"a long line":          {"+" + strings.Repeat("x", maxReply), errReplyTooLong},
		"many in one":          {"*3\r\n" + strings.Repeat("$400000\r\n"+strings.Repeat("x", 400_000)+"\r\n", 3), errReplyTooLong},
		"less than nothing":    {"$-2\r\n", errNoReply},
		"no number":            {"*x\r\n", errNoReply},
		"an empty line":        {"\n", errNoReply},
		"an unknown kind":      {"?1\r\n", errNoReply},
		"another protocol":     {"HTTP/1.1 400 Bad Request\r\n", errNoReply},
	} {
		for _, step := range []int{1, 7, len(tc.stream)} {
			var r replyBound
			var err error
			for rest := tc.stream; rest != "" && err == nil; {
				n := min(step, len(rest))
				err = r.see([]byte(rest[:n]))
				rest = rest[n:]
			}
			if !errors.Is(err, tc.want) {
				t.Errorf("%s, %d bytes at a time: %v, want %v", name, step, err, tc.want)
			}
		}
	}
}
