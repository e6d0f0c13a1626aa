package transport

// What a handler does not consume, a packet that arrived in part, is kept in a buffer of the connection's own. Small ones are
// used again by other connections of the poller; one that is large grows by doubling, byte for byte received.

// waiting is what was received and not consumed.
func (c *polled) waiting() []byte {
	if c.part == nil {
		return nil
	}
	return c.part.rest
}

// space is where the next read of a connection puts its bytes; never empty.
func (p *poller) space(c *polled) []byte {
	rest := c.waiting()
	n := len(rest)
	if n <= len(p.scratch)/2 {
		copy(p.scratch, rest)
		return p.scratch[n:]
	}
	if n == cap(rest) {
		rest = append(make([]byte, 0, 2*n), rest...)
		c.part.rest = rest
	}
	return rest[n:cap(rest)]
}

// joined is what waits together with the n bytes that were read into space.
func (p *poller) joined(c *polled, n int) []byte {
	rest := c.waiting()
	if have := len(rest); have <= len(p.scratch)/2 {
		return p.scratch[: have+n : have+n]
	}
	c.part.rest = rest[:len(rest)+n]
	return c.part.rest
}

// own makes what joined gave the connection's own.
func (p *poller) own(c *polled, b []byte) {
	if &b[0] == &p.scratch[0] {
		p.hold(c, b)
	}
}

// keep keeps what the handler left of it.
func (p *poller) keep(c *polled, left []byte) {
	room := cap(c.waiting())
	switch {
	case len(left) == 0:
		p.release(c)
	case room > spareSize && room >= 4*len(left): // far too large by now
		c.part = nil // left is still there
		p.hold(c, left)
	default:
		p.hold(c, left)
	}
}

// hold copies bytes into the connection's buffer.
func (p *poller) hold(c *polled, b []byte) {
	if cap(c.waiting()) < len(b) {
		p.release(c)
		if n := len(p.spare); n > 0 && len(b) <= spareSize {
			c.part, p.spare[n-1] = p.spare[n-1], nil
			p.spare = p.spare[:n-1]
		} else {
			c.part = &part{rest: make([]byte, 0, max(len(b), spareSize))}
		}
	}
	c.part.rest = c.part.rest[:len(b)]
	copy(c.part.rest, b)
}

// release gives the buffer back.
func (p *poller) release(c *polled) {
	if cap(c.waiting()) == spareSize && len(p.spare) < spares {
		*c.part = part{rest: c.part.rest[:0]}
		p.spare = append(p.spare, c.part)
	}
	c.part = nil
}
