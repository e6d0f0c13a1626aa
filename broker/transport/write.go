package transport

import "time"

// Flush writes what the handler's Take gives. It returns at once: what the socket does not take is written by the
// connection's writer goroutine.
func (c *Conn) Flush() {
	switch {
	case !c.beginWriting():
	case c.driver != nil:
		c.driver.writeOut()
	default:
		c.writeOut()
	}
}

// writeOut writes what there is, by the one who has the right to.
func (c *Conn) writeOut() {
	for {
		told := c.has(markTold)
		b := c.take()
		if len(b) == 0 && !c.owes(told) {
			if c.endWriting(told) {
				return
			}
			continue
		}
		n := 0
		if c.attempt != nil {
			var err error
			if n, err = c.attempt.write(b); err != nil {
				c.failed()
			}
		}
		if (n < len(b) || c.attempt == nil) && !c.has(markBroken) {
			go c.write(b, n)
			return
		}
		c.done = b
	}
}

// owes tells whether there is something to write besides what the handler gives: frames of WebSocket's own, or the words
// with which TLS and WebSocket end. They may have to wait for the socket, so the writer goroutine writes them.
func (c *Conn) owes(told bool) bool {
	if c.attempt != nil || c.has(markBroken) {
		return false
	}
	return c.frames != nil && c.frames.owes() || told && !c.has(markSaid)
}

// write is the writer goroutine. It owns the writing side, and has to write b from byte n on first; an empty write lets a
// WebSocket write what it owes.
func (c *Conn) write(b []byte, n int) {
	for {
		if len(b) > n || c.frames != nil {
			if _, err := c.nc.Write(b[n:]); err != nil {
				c.failed()
			}
		}
		c.done = b
		for {
			told := c.has(markTold)
			b, n = c.take(), 0
			if len(b) > 0 || c.frames != nil && c.frames.owes() && !c.has(markBroken) {
				break
			}
			if c.endWriting(told) {
				return
			}
		}
	}
}

// take asks the handler for bytes, unless they could not be written any more.
func (c *Conn) take() []byte {
	if c.has(markBroken) {
		return nil
	}
	b := c.handler.Take(c.done)
	c.done = nil
	return b
}

// failed notes that a write failed. The reader goes on for a moment, to read what the peer sent before it went away.
func (c *Conn) failed() {
	switch {
	case c.mark(markBroken):
	case c.driver != nil:
		c.driver.failed()
	case !c.has(markEnding):
		c.nc.SetReadDeadline(time.Now().Add(Linger))
	}
}

// beginWriting makes the caller the one who writes, or leaves the mark that there is more for the one who does.
func (c *Conn) beginWriting() bool {
	for {
		switch c.state.Load() {
		case writeIdle:
			if c.state.CompareAndSwap(writeIdle, writeBusy) {
				return true
			}
		case writeBusy:
			if c.state.CompareAndSwap(writeBusy, writeAgain) {
				return false
			}
		default:
			return false
		}
	}
}

// endWriting gives the writing side up; false: there may be more to take. told: Closed had returned before the last look
// at Take, so there are no last words left.
func (c *Conn) endWriting(told bool) bool {
	for {
		switch c.state.Load() {
		case writeAgain:
			if c.state.CompareAndSwap(writeAgain, writeBusy) {
				return false
			}
		case writeBusy:
			if told {
				c.lastWritten()
			}
			if c.state.CompareAndSwap(writeBusy, writeIdle) {
				return true
			}
		case writeDying:
			c.state.Store(writeDead)
			if c.driver != nil {
				c.driver.dead()
			} else {
				close(c.ended)
			}
			return true
		}
	}
}

// stopWriting waits until nobody writes and sees to it that nobody will. The socket is closed already.
func (c *Conn) stopWriting() {
	for {
		switch s := c.state.Load(); s {
		case writeIdle:
			if c.state.CompareAndSwap(writeIdle, writeDead) {
				return
			}
		default:
			if c.state.CompareAndSwap(s, writeDying) {
				<-c.ended
				return
			}
		}
	}
}
