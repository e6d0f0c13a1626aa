package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// process is a program on the disk. It is started again after each cut.
type process struct {
	path        string
	arguments   []string
	environment string
	listens     string

	command *exec.Cmd
	ended   chan struct{} // closed when it has ended and command.ProcessState is there
	mu      sync.Mutex    // guards output
	output  bytes.Buffer
	onLine  func(line string)
}

// Write takes what the program says.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.output.Write(b)
	for p.onLine != nil {
		line, err := p.output.ReadString('\n')
		if err != nil {
			p.output.WriteString(line) // the rest is to come
			break
		}
		p.onLine(strings.TrimSpace(line))
	}
	return len(b), nil
}

func (p *process) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.String()
}

func (p *process) start() error {
	c := exec.Command(p.path, p.arguments...)
	c.Env = append(os.Environ(), p.environment)
	c.Stdout, c.Stderr = p, p
	if err := c.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	p.command, p.ended = c, ended
	go func() { _ = c.Wait(); close(ended) }()
	return nil
}

// ready waits until it takes connections.
func (p *process) ready() error {
	deadline := time.Now().Add(20 * time.Second)
	for {
		c, err := net.DialTimeout("tcp", p.listens, time.Second)
		if err == nil {
			return c.Close()
		}
		if alive := p.alive(); alive != nil || time.Now().After(deadline) {
			return fmt.Errorf("does not start: %w %w", err, alive)
		}
		time.Sleep(10 * time.Millisecond) // a process that has no other way to tell
	}
}

// alive reports an end that nobody asked for.
func (p *process) alive() error {
	select {
	case <-p.ended:
		return fmt.Errorf("%s ended by itself, %s: %s", p.path, p.command.ProcessState, p.said())
	default:
		return nil
	}
}

func (p *process) kill() {
	if p.command != nil {
		_ = p.command.Process.Kill()
		<-p.ended
	}
}

// stop ends it in order.
func (p *process) stop() error {
	_ = p.command.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(20 * time.Second):
		return fmt.Errorf("%s does not stop", p.path)
	}
	if code := p.command.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("orderly stop ended with status %d", code)
	}
	return nil
}

// keysProcess is this program, changing keyed state (keys.go).
type keysProcess struct {
	process
	least int64        // what it must have after the cut
	done  atomic.Int64 // commits that ended
	found chan string  // what it says when it has looked
}

func (k *keysProcess) start() error {
	found := make(chan string, 1)
	k.found = found
	k.done.Store(k.least) // of what it said after the cut nothing counts
	k.onLine = func(line string) {
		if n, ok := strings.CutPrefix(line, "done "); ok {
			v, _ := strconv.ParseInt(n, 10, 64)
			k.done.Store(v)
			return
		}
		select {
		case found <- line:
		default:
		}
	}
	return k.process.start()
}

// ready waits until it has looked at the state it found, and says what is wrong with it.
func (k *keysProcess) ready() error {
	select {
	case line := <-k.found:
		n, ok := strings.CutPrefix(line, "state ")
		v, err := strconv.ParseInt(n, 10, 64)
		if !ok || err != nil {
			return fmt.Errorf("keyed state: %s", line)
		}
		if v < k.least {
			return fmt.Errorf("keyed state is that of commit %d, want at least %d, which was seen to end", v, k.least)
		}
		return nil
	case <-time.After(20 * time.Second):
		return fmt.Errorf("no word of the keyed state")
	}
}
