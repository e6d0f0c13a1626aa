package bench

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// program is a process that was started here. stop ends it.
type program struct {
	cmd   *exec.Cmd
	said  lastBytes
	ended chan struct{} // closed when it has ended
	err   error         // how; to be read when ended is closed
}

// stopWait is how long a program may take to end when it is asked to.
const stopWait = 10 * time.Second

// startProgram starts a broker.
func startProgram(args []string) (*program, error) {
	p := &program{cmd: exec.Command(args[0], args[1:]...), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.said, &p.said
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("the broker cannot be started: %w", err)
	}
	p.await()
	return p, nil
}

func (p *program) await() {
	go func() { // ends with the process
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
}

func (p *program) pid() int { return p.cmd.Process.Pid }

// stop asks the program to end, and makes it after a while.
func (p *program) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	late := time.AfterFunc(stopWait, func() { _ = p.cmd.Process.Kill() })
	defer late.Stop()
	<-p.ended
}

// why says that the program has ended, which it should not have.
func (p *program) why() error {
	if p.err == nil {
		return errors.New("the broker has ended" + p.lastWords())
	}
	return fmt.Errorf("the broker has ended: %w%s", p.err, p.lastWords())
}

// lastWords is the last line the program has printed.
func (p *program) lastWords() string {
	lines := strings.Split(strings.TrimSpace(p.said.String()), "\n")
	if last := lines[len(lines)-1]; last != "" {
		return "; it said: " + last
	}
	return ""
}

// lastBytes keeps the end of what is written to it. Safe for concurrent use.
type lastBytes struct {
	mu    sync.Mutex // guards the field below
	bytes []byte
}

const mostLastBytes = 4 << 10

// Write keeps the end of b.
func (l *lastBytes) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bytes = append(l.bytes, b...)
	if over := len(l.bytes) - mostLastBytes; over > 0 {
		l.bytes = append(l.bytes[:0], l.bytes[over:]...)
	}
	return len(b), nil
}

// String is what was kept.
func (l *lastBytes) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.bytes)
}

// startBare starts a process that serves Bare, and reads from its first line where. The process ends when its standard input does, so
// it does not outlive this one.
func startBare(args []string, patience time.Duration) (*program, string, error) {
	p := &program{cmd: exec.Command(args[0], args[1:]...), ended: make(chan struct{})}
	p.cmd.Stderr = &p.said
	in, out, err := os.Pipe()
	if err != nil {
		return nil, "", err
	}
	p.cmd.Stdout = out
	if _, err = p.cmd.StdinPipe(); err == nil { // closed by Wait, or with this process
		err = p.cmd.Start()
	}
	_ = out.Close() // the child has its own
	if err != nil {
		_ = in.Close()
		return nil, "", fmt.Errorf("the peer that does the least cannot be started: %w", err)
	}
	p.await()
	defer in.Close()
	_ = in.SetReadDeadline(time.Now().Add(patience)) // pipes have deadlines
	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil {
		p.stop()
		return nil, "", fmt.Errorf("the peer that does the least does not say where it listens: %w%s", err, p.lastWords())
	}
	return p, strings.TrimSpace(line), nil
}
