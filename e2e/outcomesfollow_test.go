package e2e

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mta-sts-daemon/e2e/internal/isolated"
)

// TestOutcomesFollow has each version of Postfix write its log to a file and rotate
// it while it delivers: of what "outcomes --follow" counts none is missing.
func TestOutcomesFollow(t *testing.T) {
	const (
		domain  = "rotated.test"
		logFile = "/var/log/postfix/mail.log"
		rounds  = 4
		atOnce  = 15
	)
	w := newWorld(t)
	w.publish(domain, enforce(domain))
	mx := w.openMX(t, domain, 1, goodCertificate)
	for _, s := range suites() {
		t.Run(string(s), func(t *testing.T) {
			s.need(t)
			before := len(mx.Received())
			r := newRoot(t, s)
			d := startDaemonIn(t, w, r)
			d.stopLater(t)
			p := &postfix{root: r}
			p.configure(t, w, "maillog_file = "+logFile,
				"maillog_file_compressor = /bin/true", // the tree has no gzip
				"maillog_file_rotate_suffix = %Y%m%d-%H%M%S")
			r.write(t, logFile, "")
			run(t, r.command("/usr/sbin/postfix", "start"))
			t.Cleanup(func() { run(t, r.command("/usr/sbin/postfix", "stop")) })
			o := startProcess(t, r.command(daemonPath, "outcomes", "--config", daemonConfig, "--follow", "--metrics", outcomesAddr, logFile))
			o.stopLater(t)
			o.awaitListening(t, outcomesAddr)
			metrics(t) // answered once it follows

			sent := 0
			for range rounds {
				for range atOnce {
					sendmail := r.command("/usr/sbin/sendmail", "-f", "sender@"+senderHost, "postmaster@"+domain)
					sendmail.Stdin = strings.NewReader("Subject: rotation\n\nHello.\n")
					run(t, sendmail)
					sent++
				}
				run(t, r.command("/usr/sbin/postfix", "logrotate")) // while those are delivered
			}
			t.Cleanup(func() {
				if t.Failed() {
					queue, _ := r.command("/usr/sbin/postqueue", "-p").CombinedOutput()
					log, _ := r.command("/bin/sh", "-c", "grep -hv 'status=sent' "+logFile+"* | tail -n 60").CombinedOutput()
					t.Logf("the queue:\n%s\nthe log:\n%s", queue, log)
				}
			})
			flushed := time.Now()
			isolated.Eventually(t, "all mail at the MX host", func() bool {
				// pickup(8) misses mail that comes while Postfix reloads, and looks again
				// after a minute.
				if time.Since(flushed) > 2*time.Second {
					flushed = time.Now()
					run(t, r.command("/usr/sbin/postqueue", "-f"))
				}
				return len(mx.Received()) == before+sent
			})
			want := fmt.Sprintf("mta_sts_deliveries_total{policy=\"sts\",status=\"sent\",tls=\"verified\"} %d\n", sent)
			isolated.Eventually(t, want, func() bool { return strings.Contains(metrics(t), want) })
			if rotated, err := filepath.Glob(r.dir + logFile + ".*"); err != nil || len(rotated) != rounds {
				t.Errorf("%d files were rotated, %v", len(rotated), err)
			}
			for line := range strings.Lines(metrics(t)) {
				if strings.HasPrefix(line, "mta_sts_deliveries_total{") && !strings.HasSuffix(line, " 0\n") && line != want {
					t.Errorf("counted as well: %s", line)
				}
			}
		})
	}
}

// metrics returns those of outcomes.
func metrics(t *testing.T) string {
	t.Helper()
	resp, err := http.Get("http://" + outcomesAddr + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
