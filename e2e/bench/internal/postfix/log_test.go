package postfix

import (
	"strings"
	"testing"
	"time"
)

// Lines as Postfix 3.7, 3.10 and 3.11 write them.
const deliveredLog = `Nov 29 01:34:16 client postfix/master[7]: daemon started -- version 3.10.13, configuration /etc/postfix
Nov 29 01:34:17 client postfix/smtp[9]: Verified TLS connection established to mx1.a.example.test[127.0.1.1]:25: TLSv1.3 with cipher TLS_AES_128_GCM_SHA256 (128/128 bits)
Nov 29 01:34:17 client postfix/smtp[9]: D47BE11F: to=<user@a.example.test>, relay=mx1.a.example.test[127.0.1.1]:25, delay=2.2, delays=1.9/0.19/0.031/0.01, dsn=2.0.0, status=sent (250 ok)
Nov 29 01:34:18 client postfix/smtp[9]: Trusted TLS connection reused to mx1.a.example.test[127.0.1.1]:25: TLSv1.3 with cipher TLS_AES_128_GCM_SHA256 (128/128 bits)
Nov 29 01:34:18 client postfix/smtp[9]: D47BE120: to=<user@a.example.test>, relay=mx1.a.example.test[127.0.1.1]:25, conn_use=2, delay=2.2, delays=1.9/0.19/1e-06/0.01, tls=secure, dsn=2.0.0, status=sent (250 ok)
Nov 29 01:34:18 client postfix/qmgr[8]: D47BE120: removed
`

func TestLog(t *testing.T) {
	t.Parallel()
	l := newLog()
	for part := range strings.SplitAfterSeq(deliveredLog, "/") { // lines come in parts
		l.Write([]byte(part))
	}
	if l.version != "3.10.13" || l.sent != 2 || l.removed != 1 || l.verified != 1 || l.others != 1 || l.failure != "" {
		t.Errorf("got %+v", l.seen)
	}
	if longest := l.setup.Quantile(1); longest < 30*time.Millisecond || longest > 31*time.Millisecond {
		t.Errorf("the longest setup took %v", longest)
	}
}

func TestLogOfFailure(t *testing.T) {
	t.Parallel()
	for _, lines := range [][]string{
		{"client postfix/smtp[9]: warning: table lookup problem", "client postfix/smtp[9]: D47BE11F: to=<user@a.example.test>, relay=none, delay=2.2, delays=1.9/0.19/0.031/0, dsn=4.7.5, status=deferred (client TLS configuration problem)"},
		{"postfix/postlog: fatal: the Postfix mail system is already running"},
	} {
		l := newLog()
		l.Write([]byte(strings.Join(lines, "\n") + "\n"))
		if want := strings.Join(lines, "\n"); l.failure != want || l.sent != 0 {
			t.Errorf("got %q, want %q", l.failure, want)
		}
	}
}
