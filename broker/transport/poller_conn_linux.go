package transport

import (
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// arrived begins to drive a connection.
func (p *poller) arrived(c *polled) {
	if n := len(p.free); n > 0 {
		c.slot, p.free = p.free[n-1], p.free[:n-1]
	} else {
		c.slot = int32(len(p.conns))
		p.conns = append(p.conns, nil)
	}
	if p.last++; p.last == 0 {
		p.last++
	}
	c.generation = p.last
	p.conns[c.slot] = c
	err := p.watch(c, unix.EPOLL_CTL_ADD, reading)
	c.writeOut()
	switch {
	case err != nil:
		p.end(c, false, os.NewSyscallError("epoll_ctl", err))
	case c.has(markEnding):
		p.end(c, true, ErrShutdown)
	default:
		p.arm(c)
	}
}

// arm sets the deadline, if there is one and none that passes earlier.
func (p *poller) arm(c *polled) {
	if want := c.handler.Deadline(); !want.IsZero() {
		if at := int64(want.Sub(p.began)); c.place == 0 || at < c.due {
			p.set(c, at)
		}
	}
}

// pass acts on the deadlines that have passed.
func (p *poller) pass(now int64) {
	for c := p.first(); c != nil && c.due <= now; c = p.first() {
		switch {
		case c.over:
			p.finish(c)
		case c.has(markBroken):
			p.end(c, false, errGone)
		default:
			p.late(c, now)
		}
	}
}

// late looks whether the deadline that was set is still the one the handler wants.
func (p *poller) late(c *polled, now int64) {
	want := c.handler.Deadline()
	switch at := int64(want.Sub(p.began)); {
	case want.IsZero():
		p.remove(c)
	case at > now:
		p.set(c, at)
	default:
		c.handler.Timeout()
		p.end(c, true, ErrTimeout)
	}
}

// turn reads what has arrived, up to a share.
func (p *poller) turn(c *polled) {
	for share := 0; ; {
		space := p.space(c)
		n, err := syscall.Read(int(c.fd), space)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			return
		case err != nil:
			p.noMore(c, os.NewSyscallError("read", err))
			return
		case n == 0:
			p.noMore(c, io.EOF)
			return
		}
		if !c.over && !p.received(c, n) {
			return
		}
		if n < len(space) && !c.hung { // nothing is left; what comes from now on is an event
			return
		}
		if share += n; share >= turnBytes {
			c.queued = true
			p.again = append(p.again, c)
			return
		}
	}
}

// noMore is reached when nothing more can be read.
func (p *poller) noMore(c *polled, err error) {
	switch {
	case !c.over:
		p.end(c, false, err)
	case err != io.EOF:
		p.finish(c)
	default: // the peer has seen that nothing follows, or has only stopped sending
		if c.mark(markEOF); c.has(markSaid) {
			p.finish(c)
		}
	}
}

// received lets the handler look at n bytes that were read. false: there is nothing to be read now.
func (p *poller) received(c *polled, n int) bool {
	b := p.joined(c, n)
	if c.handler.MayWait() {
		p.own(c, b)
		p.remove(c)
		c.away = true
		c.served.running.Go(c.receiveAway)
		return false
	}
	used, err := c.handler.Receive(b)
	if err != nil {
		p.end(c, true, err)
		return false
	}
	p.keep(c, b[used:])
	p.arm(c)
	return true
}

// receiveAway is Receive in a goroutine.
func (c *polled) receiveAway() {
	c.part.used, c.part.err = c.handler.Receive(c.part.rest)
	c.poller.post(c, noteBack)
}

// back goes on with a connection that a goroutine had.
func (p *poller) back(c *polled) {
	c.away = false
	switch {
	case c.part.err != nil:
		p.end(c, true, c.part.err)
	case c.has(markEnding):
		p.end(c, true, ErrShutdown)
	default:
		p.keep(c, c.part.rest[c.part.used:])
		if p.arm(c); c.has(markBroken) {
			p.letter(c, noteFailed)
		}
		p.turn(c) // events meanwhile were passed over
	}
}

// end ends a connection: in order, if this side wants it.
func (p *poller) end(c *polled, ours bool, err error) {
	c.mark(markEnding)
	c.over = true
	p.release(c)
	c.handler.Closed(err)
	c.mark(markTold)
	if !ours || c.has(markBroken) {
		p.finish(c)
		return
	}
	p.set(c, int64(time.Since(p.began)+Linger))
	c.Flush()
	if !c.queued { // what came while a goroutine had it, or was left, is thrown away
		c.queued = true
		p.again = append(p.again, c)
	}
}

// finish lets go of a connection.
func (p *poller) finish(c *polled) {
	p.remove(c)
	p.conns[c.slot] = nil
	p.free = append(p.free, c.slot)
	c.gone = true
	c.stopWriting()
}
