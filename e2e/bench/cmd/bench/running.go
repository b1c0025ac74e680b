package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"mta-sts-daemon/e2e/bench/internal/bed"
	"mta-sts-daemon/e2e/bench/internal/load"
	"mta-sts-daemon/e2e/bench/internal/proc"
)

// patience is how long a server may take until it accepts connections, or to end.
const patience = time.Minute

// running is a server under way.
type running struct {
	server
	dir   string
	pid   int
	cmd   *exec.Cmd
	ended chan struct{}
}

// logFile is the file in a server's directory with its output.
const logFile = "log"

// start starts s on the servers' processor and returns when it can be asked.
func (b *bench) start(s server) (*running, error) {
	dir, err := os.MkdirTemp(b.dir, "server-")
	if err != nil {
		return nil, err
	}
	s.Server = s.In(dir)
	for name, text := range s.Files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	if s.prepare != nil {
		if err := s.prepare(dir); err != nil {
			return nil, fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	return b.launch(s, dir)
}

// launch starts s in its directory, where it may have run before.
func (b *bench) launch(s server, dir string) (*running, error) {
	log, err := os.OpenFile(filepath.Join(dir, logFile), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(s.Command[0], s.Command[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(append(os.Environ(), "SSL_CERT_FILE="+b.caFile()), s.Env...)
	cpus := []int{b.cpus.Server}
	if s.everywhere {
		cpus = append(cpus, b.cpus.Load)
	}
	r, err := run(s, cmd, cpus...)
	if err != nil {
		said, _ := os.ReadFile(log.Name())
		return nil, fmt.Errorf("%w\n%s", err, said)
	}
	r.dir = dir
	return r, nil
}

// run starts cmd, which is s, and waits until it can be asked.
func run(s server, cmd *exec.Cmd, cpus ...int) (*running, error) {
	if err := proc.Start(cmd, cpus...); err != nil {
		return nil, fmt.Errorf("%s: %w", s.Name, err)
	}
	r := &running{server: s, pid: cmd.Process.Pid, cmd: cmd, ended: make(chan struct{})}
	go func() {
		cmd.Wait() // how a peer ends is its own business
		close(r.ended)
	}()
	if err := r.awaitListening(); err != nil {
		r.stop()
		return nil, fmt.Errorf("%s %w", s.Name, err)
	}
	return r, nil
}

func (r *running) awaitListening() error {
	tooLong := time.After(patience)
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		err := r.dialAll()
		if err == nil {
			return nil
		}
		select {
		case <-again.C:
		case <-r.ended:
			return errors.New("ended at once")
		case <-tooLong:
			return fmt.Errorf("does not listen: %w", err)
		}
	}
}

// dialAll connects wherever the server should be listening.
func (r *running) dialAll() error {
	for _, way := range ways {
		target, ok := r.target(way)
		if !ok {
			continue
		}
		conn, err := net.Dial(target.Network, target.Address)
		if err != nil {
			return err
		}
		conn.Close()
	}
	return nil
}

func (r *running) stop() {
	r.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-r.ended:
	case <-time.After(patience):
		r.cmd.Process.Kill()
		<-r.ended
	}
}

// settle waits for the end of the work in the background after a server's start, for a while
// at most.
func (r *running) settle() error {
	_, err := proc.AwaitIdle(r.pid, 3*time.Minute)
	return err
}

// know has the server look up the first domains, so that it knows them.
func (r *running) know(domains uint32) error {
	if domains == 0 {
		return nil
	}
	target, ok := r.target(overTCP)
	if !ok {
		target, _ = r.target(overUnix)
	}
	result, err := load.Run(load.Load{Target: target, Connections: 16, Pipeline: 1, Keys: load.Each(bed.AppendDomain, 0, domains)})
	if err == nil && result.Found != result.Lookups {
		err = fmt.Errorf("%d of %d domains have a policy", result.Found, result.Lookups)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", r.Name, err)
	}
	return nil
}
