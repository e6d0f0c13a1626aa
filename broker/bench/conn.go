package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"time"

	"weir/broker/packet"
)

// conn is one client. Whoever reads owns buf; out is for who writes.
type conn struct {
	net.Conn
	r              *run
	receiveMaximum int // what the broker takes unacknowledged; 65535 if it does not say
	buf            []byte
	start, end     int // what was read and not taken apart: buf[start:end]
	out            []byte
}

// Sizes of read buffers: a connection that only gets small answers, and one that gets messages.
const (
	smallBuffer = 512
	largeBuffer = 256 << 10
)

// dial opens a connection and logs in. The connection is closed at the end of the run.
func (r *run) dial(id string) (*conn, error) {
	dialer := net.Dialer{Timeout: r.o.Size.Patience}
	nc, err := dialer.DialContext(r.ctx, "tcp", r.address)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: nc, r: r, receiveMaximum: 65_535, buf: make([]byte, smallBuffer)}
	r.mu.Lock()
	r.conns = append(r.conns, c)
	r.mu.Unlock()
	if r.ctx.Err() != nil { // closeAll may have been and gone
		_ = nc.Close()
		return nil, context.Cause(r.ctx)
	}
	if err := c.login(id); err != nil {
		_ = nc.Close()
		return nil, fmt.Errorf("CONNECT: %w", plain(err))
	}
	if r.process.PID == 0 && r.firstConn(c) {
		r.process = peerProcess(nc)
	}
	return c, nil
}

// firstConn tells whether c is the first connection of the run, which is opened before any other goroutine is started.
func (r *run) firstConn(c *conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.conns[0] == c && len(r.conns) == 1
}

// forget closes a connection before the end of the run.
func (r *run) forget(c *conn) {
	_, _ = c.Write([]byte{byte(packet.TypeDisconnect) << 4, 0}) // a courtesy
	_ = c.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.conns {
		if r.conns[i] == c {
			r.conns = append(r.conns[:i], r.conns[i+1:]...)
			return
		}
	}
}

// login sends CONNECT and waits for a positive CONNACK.
func (c *conn) login(id string) error {
	o := c.r.o
	p := packet.Connect{CleanStart: true, ClientID: fmt.Appendf(nil, "%s-%08x", id, c.r.number)}
	if o.Username != "" {
		p.HasUsername, p.Username = true, []byte(o.Username)
	}
	if len(o.Password) > 0 {
		p.HasPassword, p.Password = true, o.Password
	}
	body, err := c.ask(&p, packet.TypeConnack)
	if err != nil {
		return err
	}
	var answer packet.Connack
	if err := answer.Decode(packet.Frame{Type: packet.TypeConnack, Body: body}, o.Version); err != nil {
		return err
	}
	if answer.Reason != packet.Success {
		return fmt.Errorf("refused by the broker: %v", answer.Reason)
	}
	if answer.Props.Has(packet.PropReceiveMaximum) {
		c.receiveMaximum = int(answer.Props.ReceiveMaximum)
	}
	return nil
}

// appender is any packet.
type appender interface {
	Append(dst []byte, v packet.Version) ([]byte, error)
}

// ask sends a packet and waits for the answer of a type, which must be the next packet. Its body is valid until the next read.
func (c *conn) ask(p appender, answer packet.Type) ([]byte, error) {
	b, err := p.Append(nil, c.r.o.Version)
	if err != nil {
		return nil, err
	}
	c.r.progress.Add(1) // the deadline is what ends this wait
	if err := c.SetDeadline(time.Now().Add(c.r.o.Size.Patience)); err != nil {
		return nil, err
	}
	if _, err := c.Write(b); err != nil {
		return nil, err
	}
	first, body, err := c.next()
	if err != nil {
		return nil, err
	}
	if got := packet.Type(first >> 4); got != answer {
		return nil, c.unexpected(got, body)
	}
	return body, c.SetDeadline(time.Time{})
}

// subscribe asks for one filter and waits until it is granted.
func (c *conn) subscribe(filter string, qos byte) error {
	p := packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: []byte(filter), QoS: qos}}}
	body, err := c.ask(&p, packet.TypeSuback)
	if err == nil {
		err = c.granted(body, 1, qos)
	}
	if err != nil {
		return fmt.Errorf("SUBSCRIBE %s: %w", filter, plain(err))
	}
	return nil
}

// granted wants a SUBACK to grant n filters this QoS.
func (c *conn) granted(body []byte, n int, qos byte) error {
	var p packet.Suback
	if err := p.Decode(packet.Frame{Type: packet.TypeSuback, Flags: 0, Body: body}, c.r.o.Version); err != nil {
		return err
	}
	if len(p.Reasons) != n {
		return fmt.Errorf("SUBACK answers %d filters, want %d", len(p.Reasons), n)
	}
	for _, reason := range p.Reasons {
		if byte(reason) != qos {
			return fmt.Errorf("granted %v, want QoS %d", reason, qos)
		}
	}
	return nil
}

// unexpected says what a packet is doing here.
func (c *conn) unexpected(t packet.Type, body []byte) error {
	if t == packet.TypeDisconnect && c.r.o.Version == packet.V5 {
		var p packet.Disconnect
		if err := p.Decode(packet.Frame{Type: t, Body: body}, packet.V5); err == nil {
			return fmt.Errorf("the broker has ended the connection: %v", p.Reason)
		}
	}
	return fmt.Errorf("the broker has sent %v, which does not belong here", t)
}

// next reads until there is a whole packet, and takes it. body is valid until the next read.
func (c *conn) next() (first byte, body []byte, err error) {
	for {
		b := c.buf[c.start:c.end]
		head, size, err := measureFrame(b)
		if err != nil {
			return 0, nil, err
		}
		if size > 0 {
			c.start += size
			return b[0], b[head:size], nil
		}
		if err := c.fill(); err != nil {
			return 0, nil, err
		}
	}
}

// fill reads once, behind what is left in the buffer.
func (c *conn) fill() error {
	switch {
	case c.start == c.end:
		c.start, c.end = 0, 0
	case c.start > 0 && (c.end == len(c.buf) || c.start > len(c.buf)/2):
		c.end = copy(c.buf, c.buf[c.start:c.end])
		c.start = 0
	}
	if c.end == len(c.buf) {
		if len(c.buf) > 1<<20 {
			return errors.New("the broker has sent a packet of more than 1 MiB")
		}
		c.room(2 * len(c.buf))
	}
	n, err := c.Read(c.buf[c.end:])
	c.end += n
	if n > 0 {
		c.r.progress.Add(1)
		return nil
	}
	return err
}

// room makes the read buffer at least n bytes large.
func (c *conn) room(n int) {
	if n > len(c.buf) {
		buf := make([]byte, n)
		c.end = copy(buf, c.buf[c.start:c.end])
		c.buf, c.start = buf, 0
	}
}

// flush writes what was gathered in out.
func (c *conn) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	_, err := c.Write(c.out)
	c.out = c.out[:0]
	return err
}

// acknowledge gathers one of the four packets that consist of a packet id. PUBREL has flags 0010 [MQTT-3.6.1-1].
func (c *conn) acknowledge(t packet.Type, id []byte) {
	first := byte(t) << 4
	if t == packet.TypePubrel {
		first |= 0b0010
	}
	c.out = append(c.out, first, 2, id[0], id[1])
}

var errFrame = errors.New("the broker has sent bytes that are no MQTT")

// measureFrame finds the packet at the start of b: the body is b[head:size]. size 0: it is not whole yet.
func measureFrame(b []byte) (head, size int, err error) {
	length := 0
	for i := 1; i <= 4; i++ {
		if i >= len(b) {
			return 0, 0, nil
		}
		length |= int(b[i]&0x7F) << (7 * (i - 1))
		if b[i] < 0x80 {
			if size = 1 + i + length; size > len(b) {
				return 0, 0, nil
			}
			return 1 + i, size, nil
		}
	}
	return 0, 0, errFrame
}

// acknowledgement takes the body of one apart: its packet id, or that it says no.
func acknowledgement(t packet.Type, body []byte) (id uint16, err error) {
	if len(body) < 2 {
		return 0, errFrame
	}
	if len(body) > 2 && body[2] >= 0x80 { // 5.0 section 3.4.2.1
		return 0, fmt.Errorf("the broker has answered a message with %v: %v", t, packet.Reason(body[2]))
	}
	return binary.BigEndian.Uint16(body), nil
}
