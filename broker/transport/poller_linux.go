package transport

import (
	"math"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	reading   = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET&math.MaxUint32
	turnBytes = 64 << 10 // what one connection may bring before others have their turn
	events    = 128      // that are asked for at a time
	spares    = 16       // small buffers for what arrived in part that are kept
	spareSize = 2 << 10
)

// poller drives connections from one goroutine. Its fields belong to that, but for those that a mutex guards.
type poller struct {
	epoll   int
	began   time.Time
	conns   []*polled // by slot, which is what epoll says
	free    []int32   // slots
	last    int32     // generation
	scratch []byte    // what is read, of whichever connection
	spare   []*part
	again   []*polled // have had their share, and may have more
	deadlines
	events [events]unix.EpollEvent

	mu       sync.Mutex // guards the fields below, and bell against being closed
	inbox    []letter
	rung     bool // the poller was told to look into it
	stopping bool
	bell     int // an eventfd; it is never read: each write is an event
}

// letter tells the poller something about a connection.
type letter struct {
	c    *polled
	note note
}

type note uint8

const (
	noteArrived  note = iota // it is to be driven
	noteShutdown             // it is to end
	noteFailed               // a write failed
	noteSaid                 // its last words are written
	noteWrite                // whoever wrote it has had a share
	noteBack                 // a goroutine is done with it
)

// ringing is the slot of the bell.
const ringing = -1

// newPoller opens what a poller needs; close closes it.
func newPoller() (*poller, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	bell, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		unix.Close(epoll)
		return nil, os.NewSyscallError("eventfd", err)
	}
	p := &poller{epoll: epoll, bell: bell, began: time.Now(), scratch: make([]byte, inputLarge)}
	e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET&math.MaxUint32, Fd: ringing}
	if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, bell, &e); err != nil {
		p.close()
		return nil, os.NewSyscallError("epoll_ctl", err)
	}
	return p, nil
}

// stop makes run return.
func (p *poller) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopping = true
	p.ring()
}

// close is to be called when run has returned.
func (p *poller) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	unix.Close(p.bell)
	unix.Close(p.epoll)
	p.rung = true // nobody is to write to what may be another file by now
}

// post tells the poller something. Safe for concurrent use.
func (p *poller) post(c *polled, n note) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inbox = append(p.inbox, letter{c, n})
	p.ring()
}

// ring wakes the poller. The caller holds mu.
func (p *poller) ring() {
	if !p.rung {
		p.rung = true
		one := [8]byte{1} // in one byte order or the other, it is not 0
		unix.Write(p.bell, one[:])
	}
}

// watch tells epoll about a connection, in whose events the slot stands.
func (p *poller) watch(c *polled, op int, what uint32) error {
	e := unix.EpollEvent{Events: what, Fd: c.slot, Pad: c.generation}
	return unix.EpollCtl(p.epoll, op, int(c.fd), &e)
}

// run drives connections until stop.
func (p *poller) run() {
	for {
		n := p.wait()
		for i := range p.events[:n] {
			p.event(&p.events[i])
		}
		p.turns()
		if !p.letters() {
			return
		}
		p.pass(int64(time.Since(p.began)))
	}
}

// wait waits for events, letters, or the first deadline.
func (p *poller) wait() int {
	timeout := -1
	if c := p.first(); c != nil {
		left := time.Duration(c.due - int64(time.Since(p.began)))
		timeout = int(min(max(left+time.Millisecond-1, 0)/time.Millisecond, math.MaxInt32))
	}
	if len(p.again) > 0 {
		timeout = 0
	} else {
		runtime.Gosched() // what was started here would otherwise wait until the runtime sees that this thread sleeps
	}
	n, err := unix.EpollWait(p.epoll, p.events[:], timeout)
	if err != nil { // EINTR
		return 0
	}
	return n
}

// event handles one.
func (p *poller) event(e *unix.EpollEvent) {
	if e.Fd == ringing {
		return
	}
	c := p.conns[e.Fd]
	if c == nil || c.generation != e.Pad { // closed after epoll_wait had returned
		return
	}
	if e.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		c.hung = true
	}
	if e.Events&unix.EPOLLOUT != 0 {
		c.writable()
	}
	if (e.Events&unix.EPOLLIN != 0 || c.hung) && !c.away && !c.queued {
		p.turn(c)
	}
}

// turns gives those another one who had not read everything.
func (p *poller) turns() {
	n := len(p.again)
	for i := range n {
		c := p.again[i]
		p.again[i] = nil
		c.queued = false
		if !c.gone {
			p.turn(c)
		}
	}
	p.again = append(p.again[:0], p.again[n:]...)
}

// letters reads those that have come; false: stop.
func (p *poller) letters() bool {
	p.mu.Lock()
	if !p.rung {
		p.mu.Unlock()
		return true
	}
	all := p.inbox
	p.inbox, p.rung = nil, false
	stopping := p.stopping
	p.mu.Unlock()
	for _, l := range all {
		if l.note == noteArrived {
			p.arrived(l.c)
		} else if l.c.generation != 0 && !l.c.gone {
			p.letter(l.c, l.note)
		}
	}
	return !stopping
}

func (p *poller) letter(c *polled, n note) {
	switch n {
	case noteShutdown:
		if !c.over && !c.away {
			p.end(c, true, ErrShutdown)
		}
	case noteFailed:
		switch {
		case c.over:
			p.finish(c)
		case !c.away: // what the peer sent before it went away is still read
			p.set(c, int64(time.Since(p.began)+Linger))
		}
	case noteSaid:
		p.finish(c)
	case noteWrite:
		c.writable()
	case noteBack:
		p.back(c)
	}
}
