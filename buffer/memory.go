package buffer

// NextInMemory is Next for callers that must not wait for the disk: ok is
// false, and nothing was given, when the next record would have to be read
// from there.
func (c *Consumer) NextInMemory(dst []Entry) (n int, ok bool, err error) {
	c.read.Lock()
	defer c.read.Unlock()
	l := c.l
	l.mu.Lock()
	defer l.mu.Unlock()
	c.unpin()
	if err = c.usable(); err != nil {
		return 0, true, err
	}
	for {
		p := c.where()
		c.leaveBehind(p.s)
		if !p.tail {
			return 0, false, nil
		}
		if p.s == nil {
			c.leave()
		}
		if n = c.fromTail(dst, p.below); n > 0 || p.below == noRecord {
			return n, true, nil
		}
	}
}

// Waiting is how many records wait for the consumer, and their bytes as
// stored. It is cheaper than Backlog.
func (c *Consumer) Waiting() (records uint64, bytes int64) {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	return c.records, c.bytes
}
