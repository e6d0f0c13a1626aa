package chip

// cutter cuts what comes into lines. After an overrun, and after the line was
// opened while a device was sending, it drops everything up to the next end.
type cutter struct {
	end      string // "": CR or LF
	buffer   []byte
	longest  int
	dropping bool
}

// restart says that what came before may be cut off, and so what comes next.
func (c *cutter) restart() {
	c.buffer, c.dropping = c.buffer[:0], true
}

// feed calls f with each whole line, without its end; empty lines are left out.
func (c *cutter) feed(b []byte, f func(line []byte)) {
	for _, x := range b {
		c.buffer = append(c.buffer, x)
		n, ended := c.ended()
		switch {
		case ended:
			if n > 0 && n <= c.longest && !c.dropping {
				f(c.buffer[:n])
			}
			c.buffer, c.dropping = c.buffer[:0], false
		case len(c.buffer) > c.longest+len(c.end):
			// The last bytes may be the beginning of the end.
			keep := max(len(c.end)-1, 0)
			c.buffer = append(c.buffer[:0], c.buffer[len(c.buffer)-keep:]...)
			c.dropping = true
		}
	}
}

// ended reports whether the buffer holds a whole line, and its length.
func (c *cutter) ended() (int, bool) {
	last := len(c.buffer) - 1
	if c.end == "" {
		return last, c.buffer[last] == '\r' || c.buffer[last] == '\n'
	}
	n := len(c.buffer) - len(c.end)
	return n, n >= 0 && string(c.buffer[n:]) == c.end
}

// flush calls f with what has come of a line, which its device ends with silence.
func (c *cutter) flush(f func(line []byte)) {
	if n := len(c.buffer); n > 0 && n <= c.longest && !c.dropping {
		f(c.buffer)
	}
	c.buffer, c.dropping = c.buffer[:0], false
}

// highBits counts the bytes that are no characters of seven bits.
func highBits(b []byte) (n int) {
	for _, x := range b {
		n += int(x >> 7)
	}
	return n
}
