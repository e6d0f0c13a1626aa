package client

import (
	"crypto/tls"
	"time"
)

// write is the writer goroutine: it writes what the core has, and watches the time.
func (c *Conn) write() {
	var (
		spare []byte
		zeros []uint64
		acks  []Ack
	)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		now := time.Now()
		c.mu.Lock()
		var delivered int64
		if c.core.ping == pingWritten { // nobody else asks, and asking costs a system call
			delivered = c.Delivered()
		}
		next, err := c.core.tick(now, delivered)
		out, refs := c.core.take(spare, zeros)
		c.taken += int64(len(out))
		last := c.leaving
		c.mu.Unlock()
		if err == nil && len(out) > 0 {
			err = c.writeAll(out)
		}
		if err != nil {
			c.end(err)
			return
		}
		spare, zeros = out, refs
		if len(out) > 0 {
			acks = c.wrote(refs, acks[:0])
			if cap(spare) > maxOut { // a burst is over
				spare = nil
			}
			continue
		}
		if last {
			c.farewell()
			return
		}
		if !next.IsZero() {
			timer.Reset(next.Sub(now))
		}
		select {
		case <-c.wake:
		case <-timer.C:
		case <-c.done:
			return
		}
	}
}

// wrote tells everyone concerned that a buffer was written.
func (c *Conn) wrote(refs []uint64, acks []Ack) []Ack {
	c.mu.Lock()
	c.core.wrote(time.Now(), c.taken)
	c.mu.Unlock()
	for _, ref := range refs {
		acks = append(acks, Ack{Ref: ref})
	}
	if len(acks) > 0 {
		c.deliver(acks)
	}
	return acks
}

const chunk = 16 << 10 // each so many bytes have WriteTimeout of their own

func (c *Conn) writeAll(b []byte) error {
	for len(b) > 0 {
		n := min(len(b), chunk)
		if err := c.nc.SetWriteDeadline(time.Now().Add(c.o.WriteTimeout)); err != nil {
			return err
		}
		if _, err := c.nc.Write(b[:n]); err != nil {
			if isTimeout(err) {
				return fault(Silent, err, "the server has taken no bytes for %s", c.o.WriteTimeout)
			}
			return err
		}
		c.written.Add(int64(n))
		b = b[n:]
	}
	return nil
}

// farewell ends the connection after our DISCONNECT. The server should close first, so that a reset takes nothing of
// what it has yet to read; it has a second for it.
func (c *Conn) farewell() {
	c.mu.Lock()
	reading := !c.broken
	c.mu.Unlock()
	if secure, ok := c.nc.(*tls.Conn); ok {
		secure.CloseWrite() // within the write deadline set last; the DISCONNECT said it all
	}
	if reading && c.nc.SetReadDeadline(time.Now().Add(time.Second)) == nil {
		return // the reader ends it
	}
	c.end(ErrClosed)
}
