package e2e

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"mta-sts-daemon/e2e/internal/mapclient"
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
		c := newClient()
		defer c.Close()
		if answer, err = c.Lookup("slow.test"); c.Retried > 0 {
			err = errors.New("only a second connection had the answer")
		}
	}()
	receive(t, asked, "a request for the policy")
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	awaitRefused(t)
	close(release)
	receive(t, answered, "an answer")
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
	keepsConnection := func() *mapclient.Client { return &mapclient.Client{Address: daemonAddr} }
	load := mapclient.Start(clients, time.Millisecond, keepsConnection, func(int) mapclient.Question { return questionOf("enforce.test") })
	awaitAnswers := func() {
		t.Helper()
		if err := load.Await(answersBetween); err != nil {
			t.Fatal(err)
		}
	}
	for range restarts {
		awaitAnswers()
		d.stop(t)
		d = startDaemon(t, w)
	}
	awaitAnswers()
	sum := load.End()
	d.stop(t)
	t.Logf("%d answers, %d of them at the second try; connections refused %d times", len(sum.Took), sum.Retried, sum.Refused)
	if len(sum.Lost) > 0 {
		t.Errorf("%d lookups were lost, the first: %s", len(sum.Lost), sum.Lost[0])
	}
	if sum.Retried == 0 || sum.Refused == 0 {
		t.Error("no lookup met a daemon that stopped: this test has shown nothing")
	}
}

// receive takes from a channel on which there must be something.
func receive(t *testing.T, from <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-from:
	case <-time.After(patience):
		t.Fatalf("waited %v in vain for %s", patience, what)
	}
}

// awaitRefused returns when nobody listens at the daemon's address.
func awaitRefused(t *testing.T) {
	t.Helper()
	tooLong := time.After(patience)
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		if _, err := askOnce("unknown.test"); errors.Is(err, syscall.ECONNREFUSED) {
			return
		}
		select {
		case <-again.C:
		case <-tooLong:
			t.Fatal("the daemon does not stop listening")
		}
	}
}
