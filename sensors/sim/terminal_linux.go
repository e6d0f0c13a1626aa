package sim

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// Terminal is a serial port made of a pseudo terminal: what a program opens under
// Path or Link is wired to an Instrument. Unplug and Plug do to the program what
// pulling out a USB adapter and putting it in again does, the port coming back
// under another device name. Safe for concurrent use.
type Terminal struct {
	link string

	mu      sync.Mutex // guards the fields below
	port    *terminalPort
	last    string        // path of the last port
	changed chan struct{} // closed at the next change of port or closed
	closed  bool
}

// terminalPort is the time between Plug and Unplug.
type terminalPort struct {
	*os.File          // the instrument's end
	spare    *os.File // keeps the program's end alive while no program has it open
	path     string
}

// lossTime is how long a write waits for room. A serial line does not wait: what
// nobody reads is lost.
const lossTime = 50 * time.Millisecond

// Write is lost without an error when nobody reads.
func (p *terminalPort) Write(b []byte) (int, error) {
	if err := p.SetWriteDeadline(time.Now().Add(lossTime)); err != nil {
		return 0, err
	}
	n, err := p.File.Write(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return len(b), nil
	}
	return n, err
}

func (p *terminalPort) Close() error { return errors.Join(p.File.Close(), p.spare.Close()) }

// OpenTerminal plugs a new terminal in. Link is a name for it that stays the same,
// a symbolic link in a directory that exists, as udev makes them under
// /dev/serial/by-id; "" for none. Close it.
func OpenTerminal(link string) (*Terminal, error) {
	t := &Terminal{link: link, changed: make(chan struct{})}
	if err := t.Plug(); err != nil {
		return nil, err
	}
	return t, nil
}

// Path returns the device name of the port, /dev/pts/N: the last one while it is
// unplugged.
func (t *Terminal) Path() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last
}

// Link returns the name given to OpenTerminal.
func (t *Terminal) Link() string { return t.link }

// Plug puts the adapter in again: the port is back, under another device name, and
// the link leads to it. It does nothing if it is plugged in.
func (t *Terminal) Plug() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.closed:
		return os.ErrClosed
	case t.port != nil:
		return nil
	}
	port, err := openPort(t.last)
	if err != nil {
		return fmt.Errorf("plug in a terminal: %w", err)
	}
	if t.link != "" {
		if err := os.Symlink(port.path, t.link); err != nil {
			_ = port.Close()
			return fmt.Errorf("plug in a terminal: %w", err)
		}
	}
	t.port, t.last = port, port.path
	t.change()
	return nil
}

// Unplug hangs up: the link is gone, and so is the port for whoever has it open.
func (t *Terminal) Unplug() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.unplug()
}

func (t *Terminal) unplug() error {
	if t.port == nil {
		return nil
	}
	var err error
	if t.link != "" {
		err = os.Remove(t.link)
	}
	err = errors.Join(err, t.port.Close())
	t.port = nil
	t.change()
	return err
}

// Close unplugs for good.
func (t *Terminal) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil
	}
	t.closed = true
	t.change()
	return t.unplug()
}

// change wakes those who wait for a change. The caller holds mu.
func (t *Terminal) change() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// Serve lets the instrument speak on the port, again after each Plug, until ctx
// ends or the terminal is closed, which is no error, or the instrument fails while
// the port is plugged in. After it has returned the terminal is unplugged.
func (t *Terminal) Serve(ctx context.Context, i Instrument) error {
	defer func() { _ = t.Unplug() }()
	for ctx.Err() == nil {
		t.mu.Lock()
		port, changed, closed := t.port, t.changed, t.closed
		t.mu.Unlock()
		switch {
		case closed:
			return nil
		case port == nil:
			select {
			case <-ctx.Done():
			case <-changed:
			}
			continue
		}
		if err := i.Run(ctx, port); t.has(port) {
			return err
		}
	}
	return nil
}

// has reports whether this port is still plugged in. It waits for an Unplug that is
// under way.
func (t *Terminal) has(port *terminalPort) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.port == port
}

// openPort opens a pseudo terminal whose path is another than last.
func openPort(last string) (*terminalPort, error) {
	p, err := openAnyPort()
	if err != nil || p.path != last {
		return p, err
	}
	other, err := openAnyPort() // while p still holds the old name
	return other, errors.Join(err, p.Close())
}

func openAnyPort() (*terminalPort, error) {
	master, slave, err := pty.Open()
	if err != nil {
		return nil, err
	}
	defer master.Close()
	// pty leaves its file blocking, and then Close would wait for Read.
	fd, err := unix.FcntlInt(master.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		err = makeRaw(int(slave.Fd()))
	}
	if err == nil {
		err = syscall.SetNonblock(fd, true)
	}
	if err != nil {
		_ = slave.Close()
		return nil, err
	}
	return &terminalPort{File: os.NewFile(uintptr(fd), master.Name()), spare: slave, path: slave.Name()}, nil
}

// makeRaw turns off echo and line editing, which a serial port does not have.
func makeRaw(fd int) error {
	s, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	s.Iflag, s.Oflag, s.Lflag = 0, 0, 0
	s.Cflag = s.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8 | unix.CREAD | unix.CLOCAL
	s.Cc[unix.VMIN], s.Cc[unix.VTIME] = 1, 0
	return unix.IoctlSetTermios(fd, unix.TCSETS, s)
}
