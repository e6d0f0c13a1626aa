package bench

import (
	"context"
	"errors"
	"net"
	"sync"

	"weir/broker/packet"
)

// Bare serves the least that a broker can do, until ctx ends: every PUBLISH goes to every connection that has subscribed to
// anything, as the bytes it came in, and acknowledgements are given at once. What it does with a load is what the load
// generator can do. It closes the listener.
func Bare(ctx context.Context, l net.Listener) error {
	b := &bare{conns: map[net.Conn]struct{}{}}
	unhook := context.AfterFunc(ctx, func() {
		_ = l.Close()
		b.closeAll()
	})
	defer unhook()
	var crew sync.WaitGroup
	defer crew.Wait()
	defer b.closeAll()
	for {
		nc, err := l.Accept()
		if ctx.Err() != nil {
			if err == nil {
				_ = nc.Close()
			}
			return nil
		}
		if err != nil {
			_ = l.Close()
			return err
		}
		if !b.add(nc) {
			_ = nc.Close()
			continue
		}
		crew.Go(func() {
			defer b.drop(nc)
			_ = b.serve(nc) // whatever it is, the connection ends
		})
	}
}

// bare is what all connections share.
type bare struct {
	mu     sync.RWMutex // guards the fields below
	conns  map[net.Conn]struct{}
	subs   []*bareSubscriber
	closed bool
}

// bareSubscriber is written to by all publishers, and by its own reader.
type bareSubscriber struct {
	mu sync.Mutex // held to write
	nc net.Conn
}

func (b *bare) add(nc net.Conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	b.conns[nc] = struct{}{}
	return true
}

func (b *bare) drop(nc net.Conn) {
	_ = nc.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.conns, nc)
	for i, s := range b.subs {
		if s.nc == nc {
			b.subs = append(append([]*bareSubscriber(nil), b.subs[:i]...), b.subs[i+1:]...) // readers have the old one
			return
		}
	}
}

func (b *bare) closeAll() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for nc := range b.conns {
		_ = nc.Close()
	}
}

func (b *bare) subscribers() []*bareSubscriber {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.subs
}

// bareConn is one connection while its bytes are taken apart.
type bareConn struct {
	b       *bare
	self    *bareSubscriber
	version packet.Version
	forward []byte // to all subscribers
	answers []byte // to this client
}

var errBare = errors.New("packet not understood")

// serve reads until the connection ends.
func (b *bare) serve(nc net.Conn) error {
	c := &bareConn{b: b, self: &bareSubscriber{nc: nc}, version: packet.V311}
	buf := make([]byte, 64<<10)
	end := 0
	for {
		n, err := nc.Read(buf[end:])
		if err != nil {
			return err
		}
		end += n
		at := 0
		for {
			head, size, err := measureFrame(buf[at:end])
			if err != nil {
				return err
			}
			if size == 0 {
				break
			}
			if err := c.packet(buf[at:at+size], head); err != nil {
				return err
			}
			at += size
		}
		end = copy(buf, buf[at:end])
		if end == len(buf) {
			return errBare // larger than any that is sent here
		}
		if err := c.write(); err != nil {
			return err
		}
	}
}

// write sends what one read has caused.
func (c *bareConn) write() error {
	if len(c.forward) > 0 {
		for _, s := range c.b.subscribers() {
			s.write(c.forward) // what is wrong with it, its own reader sees
		}
		c.forward = c.forward[:0]
	}
	if len(c.answers) == 0 {
		return nil
	}
	err := c.self.write(c.answers)
	c.answers = c.answers[:0]
	return err
}

func (s *bareSubscriber) write(b []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.nc.Write(b)
	return err
}

// packet takes one packet: frame[head:] is its body.
func (c *bareConn) packet(frame []byte, head int) error {
	body := frame[head:]
	switch t := packet.Type(frame[0] >> 4); t {
	case packet.TypePublish:
		return c.publish(frame, body)
	case packet.TypeConnect:
		return c.connect(body)
	case packet.TypeSubscribe:
		return c.subscribe(body)
	case packet.TypePubrec, packet.TypePubrel:
		if len(body) < 2 {
			return errBare
		}
		answer := [2]byte{byte(packet.TypePubrel)<<4 | 0b0010, 2}
		if t == packet.TypePubrel {
			answer[0] = byte(packet.TypePubcomp) << 4
		}
		c.answers = append(c.answers, answer[0], answer[1], body[0], body[1])
	case packet.TypePingreq:
		c.answers = append(c.answers, byte(packet.TypePingresp)<<4, 0)
	case packet.TypePuback, packet.TypePubcomp:
	default:
		return errBare
	}
	return nil
}

func (c *bareConn) publish(frame, body []byte) error {
	c.forward = append(c.forward, frame...)
	qos := frame[0] >> 1 & 3
	if qos == 0 {
		return nil
	}
	if len(body) < 2 {
		return errBare
	}
	at := 2 + int(body[0])<<8 + int(body[1])
	if at+2 > len(body) {
		return errBare
	}
	answer := byte(packet.TypePuback) << 4
	if qos == 2 {
		answer = byte(packet.TypePubrec) << 4
	}
	c.answers = append(c.answers, answer, 2, body[at], body[at+1])
	return nil
}

func (c *bareConn) connect(body []byte) error {
	var p packet.Connect
	err := p.Decode(packet.Frame{Type: packet.TypeConnect, Body: body}, 0)
	if err != nil {
		return err
	}
	c.version = p.Version
	c.answers, err = (&packet.Connack{}).Append(c.answers, c.version)
	return err
}

func (c *bareConn) subscribe(body []byte) error {
	var p packet.Subscribe
	if err := p.Decode(packet.Frame{Type: packet.TypeSubscribe, Flags: 0b0010, Body: body}, c.version); err != nil {
		return err
	}
	answer := packet.Suback{ID: p.ID}
	for _, f := range p.Filters {
		answer.Reasons = append(answer.Reasons, packet.Reason(f.QoS))
	}
	c.b.mu.Lock()
	known := false
	for _, s := range c.b.subs {
		known = known || s == c.self
	}
	if !known {
		c.b.subs = append(c.b.subs[:len(c.b.subs):len(c.b.subs)], c.self)
	}
	c.b.mu.Unlock()
	var err error
	c.answers, err = answer.Append(c.answers, c.version)
	return err
}
