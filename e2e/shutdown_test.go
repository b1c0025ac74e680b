package e2e

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"mta-sts-daemon/resolver/resolvertest"
)

// TestShutdownAnswers stops the daemon while a lookup waits for a policy host:
// connections are refused from then on, but that lookup has its answer.
func TestShutdownAnswers(t *testing.T) {
	w := newWorld(t)
	d := startDaemon(t, w)
	asked, release := make(chan struct{}), make(chan struct{})
	slow := enforce("slow.test")
	respond := slow.Respond
	slow.Respond = func(x *resolvertest.HostExchange) {
		close(asked)
		<-release
		respond(x)
	}
	w.publish("slow.test", slow)

	var answer string
	var err error
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		c := &client{}
		defer c.close()
		if answer, err = c.lookup("slow.test"); c.retried > 0 {
			err = errors.New("only a second connection had the answer")
		}
	}()
	receive(t, asked, "a request for the policy", 1)
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	awaitRefused(t)
	close(release)
	receive(t, answered, "an answer", 1)
	if want := "OK secure match=mx.slow.test servername=hostname"; err != nil || answer != want {
		t.Errorf("got %q, %v; want %q", answer, err, want)
	}
	d.awaitEnd(t)
	if d.err != nil {
		t.Errorf("the daemon ended with %v", d.err)
	}
}

// TestRestartUnderLoad stops and starts the daemon while clients look up
// without pause. No lookup is lost: each has the right answer at the first or
// the second try, as long as somebody listens. Between two daemons connections
// are refused at once, and Postfix keeps its mail.
func TestRestartUnderLoad(t *testing.T) {
	const clients, restarts, answersBetween = 8, 4, 1000
	w := newWorld(t)
	w.publish("enforce.test", enforce("enforce.test"))
	d := startDaemon(t, w)
	stop, answered, loads := make(chan struct{}), make(chan struct{}), make(chan load)
	for range clients {
		go func() {
			loads <- lookUpUntil(stop, "enforce.test", "OK secure match=mx.enforce.test servername=hostname", answered)
		}()
	}
	for range restarts {
		receive(t, answered, "an answer", answersBetween)
		d.stop(t)
		d = startDaemon(t, w)
	}
	receive(t, answered, "an answer", answersBetween)
	close(stop)

	var sum load
	for range clients {
		l := <-loads
		sum.answers += l.answers
		sum.refused += l.refused
		sum.retried += l.retried
		sum.lost = append(sum.lost, l.lost...)
	}
	d.stop(t)
	t.Logf("%d answers, %d of them at the second try; connections refused %d times", sum.answers, sum.retried, sum.refused)
	if len(sum.lost) > 0 {
		t.Errorf("%d lookups were lost, the first with %q", len(sum.lost), sum.lost[0])
	}
	if sum.retried == 0 || sum.refused == 0 {
		t.Error("no lookup met a daemon that stopped: this test has shown nothing")
	}
}

// receive takes n times from a channel on which there must be something.
func receive(t *testing.T, from <-chan struct{}, what string, n int) {
	t.Helper()
	tooLong := time.After(patience)
	for range n {
		select {
		case <-from:
		case <-tooLong:
			t.Fatalf("waited %v in vain for %s", patience, what)
		}
	}
}

// awaitRefused returns when nobody listens at the daemon's address.
func awaitRefused(t *testing.T) {
	t.Helper()
	tooLong := time.After(patience)
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		c := &client{}
		if _, err := c.lookup("unknown.test"); errors.Is(err, syscall.ECONNREFUSED) {
			return
		}
		c.close()
		select {
		case <-again.C:
		case <-tooLong:
			t.Fatal("the daemon does not stop listening")
		}
	}
}
