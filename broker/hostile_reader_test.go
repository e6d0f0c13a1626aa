package broker

import (
	"bytes"
	"fmt"
	"testing"

	"weir/broker/packet"
)

// TestHostileReader: subscribers that read nothing, over connections of no buffer to speak of, at each QoS. What waits for
// them is bounded, what is dropped is counted, and when they read again they get what is left in order.
func TestHostileReader(t *testing.T) {
	for q := range byte(3) {
		t.Run(fmt.Sprint("QoS ", q), func(t *testing.T) {
			bubble(t, Config{QueueBytes: 64 << 10, QueueMessages: 50}, func(t *testing.T, h *house) {
				b := h.bystanders(t, true)
				var deaf []*client
				for i, v := range []packet.Version{packet.V5, packet.V311, packet.V5} {
					c, _ := h.login(v, fmt.Sprint("deaf", i))
					c.subscribe(q, "flood")
					deaf = append(deaf, c)
				}
				flood, _ := h.login(packet.V311, "flood")
				payload := bytes.Repeat([]byte("x"), 900)
				for n := range 1000 { // some 3 MiB for the three
					m := message1("flood", "", q, uint16(n+1))
					m.Payload = append([]byte(fmt.Sprintf("%04d", n)), payload...)
					flood.send(m)
					flood.answered(q, uint16(n+1))
					if n%50 == 0 {
						b.exchange()
						h.sound()
					}
				}
				b.exchange()
				h.sound()
				s := h.b.Stats()
				if s.DroppedQoS0+s.DroppedQueue == 0 {
					t.Error("nothing was dropped")
				}
				for _, c := range deaf {
					last, got := -1, 0
					for c.idle(func(p *packet.Publish) {
						var n int
						fmt.Sscanf(string(p.Payload[:4]), "%d", &n)
						if n <= last {
							t.Errorf("message %d after %d", n, last)
						}
						last, got = n, got+1
						c.acknowledge(p)
					}) {
					}
					if dropped := 3*1000 - int(s.DroppedQoS0+s.DroppedQueue); got == 0 || got > dropped {
						t.Errorf("%d messages came, %d were not dropped", got, dropped)
					}
				}
				b.exchange()
			})
		})
	}
}

// answered takes the answer to an own message, and does the rest of QoS 2.
func (c *client) answered(q byte, id uint16) {
	c.t.Helper()
	switch q {
	case 1:
		c.expectAck(packet.TypePuback, id)
	case 2:
		c.expectAck(packet.TypePubrec, id)
		c.send(&packet.Ack{Type: packet.TypePubrel, ID: id})
		c.expectAck(packet.TypePubcomp, id)
	}
}

func (c *client) acknowledge(p *packet.Publish) {
	switch p.QoS {
	case 1:
		c.send(&packet.Ack{Type: packet.TypePuback, ID: p.ID})
	case 2:
		c.send(&packet.Ack{Type: packet.TypePubrec, ID: p.ID})
	}
}

// idle handles one packet; false: nothing comes any more.
func (c *client) idle(got func(*packet.Publish)) bool {
	c.t.Helper()
	c.send(&packet.Pingreq{})
	for any := false; ; any = true {
		p, kind, err := c.next()
		switch {
		case err != nil:
			c.t.Fatal(err)
		case kind == packet.TypePingresp:
			return any
		case kind == packet.TypePubrel:
			c.send(&packet.Ack{Type: packet.TypePubcomp, ID: p.(*packet.Ack).ID})
		case kind == packet.TypePublish:
			got(p.(*packet.Publish))
		}
	}
}

// TestHostileReaderOverSockets is the same where the kernel, TLS and WebSocket have buffers of their own.
func TestHostileReaderOverSockets(t *testing.T) {
	t.Run("mqtt", func(t *testing.T) {
		h := build(t, Config{})
		readNothing(t, h, h.dial)
	})
	carriers(t, Config{}, func(t *testing.T, h *carrier) {
		readNothing(t, h.house, func(v packet.Version) *client { return h.reach(v) })
	})
}

func readNothing(t *testing.T, h *house, reach func(packet.Version) *client) {
	enter := func(v packet.Version, id string) *client {
		c := reach(v)
		c.connect(id)
		return c
	}
	b := stand(t, enter(packet.V5, "bystander-pub"), enter(packet.V311, "bystander-sub"), false)
	for i := range 4 {
		enter(packet.V5, fmt.Sprint("deaf", i)).subscribe(byte(i%3), "flood")
	}
	flood := enter(packet.V311, "flood")
	payload := string(bytes.Repeat([]byte("x"), 32<<10))
	for n := range 600 { // 19 MiB for each
		flood.publish("flood", payload, 1, uint16(n+1))
		flood.expectAck(packet.TypePuback, uint16(n+1))
		if n%20 == 0 {
			b.exchange()
		}
	}
	if s := h.b.Stats(); s.DroppedQoS0 == 0 || s.DroppedQueue == 0 {
		t.Errorf("%d of QoS 0 and %d others dropped", s.DroppedQoS0, s.DroppedQueue)
	}
	for i := range 4 {
		o := &h.session(fmt.Sprint("deaf", i)).out
		o.mu.Lock()
		if limit := 2<<20 + 64<<10; o.bytes > limit || len(o.pending) > limit {
			t.Errorf("%d and %d bytes wait for one subscriber", o.bytes, len(o.pending))
		}
		o.mu.Unlock()
	}
}
