package transport

// What a handler does not consume, a packet that arrived in part, is kept in a buffer of the connection's own: polled.rest.
// Small ones are used again by other connections of the poller; one that is large grows by doubling, byte for byte received.

// space is where the next read of a connection puts its bytes; never empty.
func (p *poller) space(c *polled) []byte {
	n := len(c.rest)
	if n <= len(p.scratch)/2 {
		copy(p.scratch, c.rest)
		return p.scratch[n:]
	}
	if n == cap(c.rest) {
		c.rest = append(make([]byte, 0, 2*n), c.rest...)
	}
	return c.rest[n:cap(c.rest)]
}

// joined is what waits together with the n bytes that were read into space.
func (p *poller) joined(c *polled, n int) []byte {
	if have := len(c.rest); have <= len(p.scratch)/2 {
		return p.scratch[:have+n]
	}
	c.rest = c.rest[:len(c.rest)+n]
	return c.rest
}

// own makes what joined gave the connection's own.
func (p *poller) own(c *polled, b []byte) {
	if &b[0] == &p.scratch[0] {
		p.hold(c, b)
	}
}

// keep keeps what the handler left of it.
func (p *poller) keep(c *polled, left []byte) {
	switch {
	case len(left) == 0:
		p.release(c)
	case cap(c.rest) > 0 && cap(c.rest) >= 4*len(left) && cap(c.rest) > spareSize: // far too large by now
		c.rest = p.hold(&polled{}, left)
	default:
		p.hold(c, left)
	}
}

// hold copies bytes into the connection's buffer.
func (p *poller) hold(c *polled, b []byte) []byte {
	if cap(c.rest) < len(b) {
		p.release(c)
		if n := len(p.spare); n > 0 && len(b) <= spareSize {
			c.rest, p.spare = p.spare[n-1], p.spare[:n-1]
		} else {
			c.rest = make([]byte, 0, max(len(b), spareSize))
		}
	}
	c.rest = c.rest[:len(b)]
	copy(c.rest, b)
	return c.rest
}

// release gives the buffer back.
func (p *poller) release(c *polled) {
	if cap(c.rest) == spareSize && len(p.spare) < spares {
		p.spare = append(p.spare, c.rest[:0])
	}
	c.rest = nil
}
