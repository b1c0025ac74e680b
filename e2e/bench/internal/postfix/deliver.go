package postfix

import (
	"errors"
	"fmt"
	"io"
	"net/smtp"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"mta-sts-daemon/e2e/bench/internal/load"
)

const (
	// injectors is how many connections bring messages.
	injectors = 8
	// bodyLine and bodyLines make a short message of 1 KB: the shorter it is, the more the
	// work before it counts.
	bodyLine  = "One of the lines that make the text of a short message, like all others.\r\n"
	bodyLines = 14
)

// Deliveries is how messages were delivered.
type Deliveries struct {
	// Took is from the release of the messages to the last delivery.
	Took time.Duration
	// Setup are the delays that Postfix logs for setting up connections, lookups of
	// policies included.
	Setup load.Histogram
}

// Hold brings a message for each recipient into the queue, on hold.
func (p *Postfix) Hold(recipients []string) error {
	var group errgroup.Group
	for i := range injectors {
		group.Go(func() error { return inject(recipients, i) })
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("messages for Postfix: %w", err)
	}
	return nil
}

// inject sends every eighth message, from the n-th.
func inject(recipients []string, n int) error {
	if n >= len(recipients) {
		return nil
	}
	client, err := smtp.Dial(listen)
	if err != nil {
		return err
	}
	defer client.Close()
	for ; n < len(recipients); n += injectors {
		if err := errors.Join(client.Mail("sender@client.test"), client.Rcpt(recipients[n])); err != nil {
			return err
		}
		w, err := client.Data()
		if err != nil {
			return err
		}
		_, err = io.WriteString(w, "Subject: bench\r\n\r\n"+strings.Repeat(bodyLine, bodyLines))
		if err := errors.Join(err, w.Close()); err != nil {
			return err
		}
	}
	return client.Quit()
}

// Release has Postfix deliver the messages of Hold and waits for the last one. All must be
// delivered at the first attempt, over TLS, and if verified is true, to servers whose
// certificates have been verified.
func (p *Postfix) Release(messages int, verified bool) (d Deliveries, err error) {
	p.log.look(func(s *seen) {
		if s.sent > 0 {
			err = errors.New("messages were sent although they are on hold")
		}
	})
	if err != nil {
		return d, err
	}
	start := time.Now()
	// postsuper moves the messages to the deferred queue, which postqueue has the queue
	// manager read.
	if err := errors.Join(p.root.run("/usr/sbin/postsuper", "-H", "ALL"), p.root.run("/usr/sbin/postqueue", "-f")); err != nil {
		return d, err
	}
	// Messages that are still in the queue would be sent again after the next start.
	if err := p.await(func(s *seen) bool { return s.sent >= messages && s.removed >= messages }); err != nil {
		return d, err
	}
	p.log.look(func(s *seen) {
		d = Deliveries{Took: s.last.Sub(start), Setup: s.setup}
		if secure := s.verified; s.sent > messages || verified && (secure < messages || s.others > 0) || !verified && secure+s.others < messages {
			err = fmt.Errorf("%d of %d messages sent, with %d verified TLS connections and %d others", s.sent, messages, secure, s.others)
		}
	})
	return d, err
}
