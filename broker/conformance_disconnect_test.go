package broker

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"weir/broker/packet"
)

// TestLastWords: what a 5.0 client is told when the server ends its connection; a 3.1.1 client is told nothing. Nothing follows,
// and the connection is closed.
// v5 [MQTT-3.14.2-1] [MQTT-3.14.2-2] [MQTT-3.14.2-4] [MQTT-3.14.4-1] [MQTT-3.14.4-2] [MQTT-4.13.1-1] [MQTT-4.13.2-1],
// 3.1.1 [MQTT-4.8.0-1]
func TestLastWords(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(h *house, c *client)
		want packet.Reason // on 5.0
	}{
		{"malformed packet", func(_ *house, c *client) { c.write([]byte{0x82, 0}) }, packet.MalformedPacket},
		{"protocol error", func(_ *house, c *client) { c.write([]byte{0x20, 2, 0, 0}) }, packet.ProtocolError},
		{"topic name", func(_ *house, c *client) { c.publish("a/#", "", 0, 0) }, packet.TopicNameInvalid},
		{"too large", func(_ *house, c *client) { c.write([]byte{0x30, 0xFF, 0xFF, 0x7F}) }, packet.PacketTooLarge},
		{"receive maximum", func(h *house, c *client) {
			h.route("up")
			for i := range uint16(3) {
				c.publish("up", "", 1, i+1)
			}
			if c.v == packet.V311 { // has no such limit
				c.write([]byte{0})
			}
		}, packet.ReceiveMaximumExceeded},
		{"taken over", func(h *house, c *client) { h.login(c.v, "c") }, packet.SessionTakenOver},
		{"shutdown", func(h *house, _ *client) { h.stop() }, packet.ServerShuttingDown},
	} {
		each(t, func(t *testing.T, v packet.Version) {
			h := build(t, Config{ReceiveMaximum: 2, MaxPacket: 1000})
			pub, _ := h.login(v, "pub")
			c, _ := h.login(v, "c", keepSession)
			c.subscribe(0, "#")
			over := make(chan struct{})
			go func() { // so that there is always something that could follow
				defer close(over)
				b, _ := message1("x", "x", 0, 0).Append(nil, v)
				for {
					if _, err := pub.nc.Write(b); err != nil {
						return
					}
				}
			}()
			defer func() { pub.nc.Close(); <-over }()
			c.expect(packet.TypePublish)
			tt.end(h, c)
			var last packet.Type
			var reason packet.Reason
			for {
				p, kind, err := c.next()
				if err != nil {
					break
				}
				if last == packet.TypeDisconnect {
					t.Fatalf("%s: %s after DISCONNECT", tt.name, kind)
				}
				if last = kind; kind == packet.TypeDisconnect {
					d := p.(*packet.Disconnect)
					reason = d.Reason
					if d.Props.Has(packet.PropSessionExpiry) || len(d.Props.User) > 0 {
						t.Errorf("%s: DISCONNECT with %+v", tt.name, d.Props)
					}
				}
			}
			if told := last == packet.TypeDisconnect; told != (v == packet.V5) || told && reason != tt.want {
				t.Errorf("%s: %s as the last packet, reason %s; want %s on 5.0", tt.name, last, reason, tt.want)
			}
		})
	}
}

// TestDisconnectWithinMaximumPacketSize: the reason in words is left out before the client gets a packet it does not take.
// v5 [MQTT-3.14.2-3] [MQTT-3.1.2-24]
func TestDisconnectWithinMaximumPacketSize(t *testing.T) {
	h := build(t, Config{})
	for most, words := range map[uint32]bool{20: false, 40: false, 200: true} {
		c, _ := h.login(packet.V5, "c", func(p *packet.Connect) { p.Props.SetMaximumPacketSize(most) })
		c.publish("a/#", "", 0, 0)
		d := c.expect(packet.TypeDisconnect).(*packet.Disconnect)
		if d.Reason != packet.TopicNameInvalid || d.Props.Has(packet.PropReasonString) != words || c.have > int(most) {
			t.Errorf("at most %d: DISCONNECT of %d bytes, %s %q", most, c.have, d.Reason, d.Props.ReasonString)
		}
		c.expectEnd(packet.Success)
	}
}

// TestNoEnhancedAuthentication: without a method in CONNECT an AUTH is an error, and the server sends neither AUTH nor method,
// whether it has keys or not. v5 [MQTT-4.12.0-6] [MQTT-4.12.0-7]
func TestNoEnhancedAuthentication(t *testing.T) {
	h := build(t, withKeys(Config{Anonymous: func(string) bool { return true }}))
	for name, auth := range map[string]string{"of a login": "F0 18 04 15 0001 6D", "anew": "F0 19 04 15 0001 6D", "empty": "F0"} {
		t.Run(name, func(t *testing.T) {
			h.t = t
			c, ack := h.login(packet.V5, "c")
			if ack.Props.Has(packet.PropAuthMethod) || ack.Props.Has(packet.PropAuthData) {
				t.Errorf("CONNACK with %+v", ack.Props)
			}
			c.write(raw(t, auth))
			c.expectEnd(packet.ProtocolError)
		})
	}
	h.t = t
}

// TestFaultEndsTheConnection: an error within the server while it handles a packet, here passwords that cannot be read,
// ends that connection and no other. 3.1.1 [MQTT-4.8.0-2], v5 [MQTT-4.13.1-1]
func TestFaultEndsTheConnection(t *testing.T) {
	both(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{Users: users{"pump": "secret"}})
		other, _ := h.login(v, "other")
		c := h.dial(v)
		if ack := c.connect("c", func(p *packet.Connect) {
			p.HasUsername, p.Username = true, []byte("broken")
		}); ack.Reason != packet.ServerUnavailable {
			t.Errorf("CONNACK %s, want server unavailable", ack.Reason)
		}
		c.expectEnd(packet.Success)
		other.nothing()
	})
}

// TestStreamIsOrdered: what is written arrives whole and in order, however it is cut. [MQTT-4.1.0-1], v5 [MQTT-4.2.0-1],
// 3.1.1 [MQTT-4.1.0-2] [MQTT-7.1.1-1]
func TestStreamIsOrdered(t *testing.T) {
	both(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{QueueBytes: 64 << 20})
		c, _ := h.login(v, "c")
		c.subscribe(0, "x")
		const n = 500
		var b []byte
		for i := range n {
			b, _ = message1("x", fmt.Sprint(i, " ", strings.Repeat("x", i%50)), 0, 0).Append(b, v)
		}
		for step := 1; len(b) > 0; step = step*7%1000 + 1 {
			k := min(step, len(b))
			c.write(b[:k])
			b = b[k:]
		}
		for i := range n { // the subscription lasts as long as the connection
			c.expectMessage("x", fmt.Sprint(i, " ", strings.Repeat("x", i%50)))
		}
		c.nothing()
	})
}

// TestNoExtensionIsNeeded: a client that uses nothing but what every client must have is served. 3.1.1 [MQTT-7.0.0-2],
// [MQTT-3.12.4-1]
func TestNoExtensionIsNeeded(t *testing.T) {
	h := build(t, Config{})
	c := h.dial(packet.V311)
	for _, exchange := range [][2]string{
		{"10 0004 4D515454 04 02 000A 0001 63", "20 00 00"}, {"82 0001 0001 78 00", "90 0001 00"},
		{"30 0001 78 68", "30 0001 78 68"}, {"A2 0002 0001 78", "B0 0002"}, {"C0", "D0"},
	} {
		c.write(raw(t, exchange[0]))
		c.raw(raw(t, exchange[1]))
	}
	c.write([]byte{0xE0, 0})
	c.expectEnd(packet.Success)
	h.until(func() bool { return h.b.Stats().Connections == 0 })
}

// TestExpiryChangedAtTheEnd: DISCONNECT may change how long the session lasts, and it lasts that long.
// v5 [MQTT-3.1.2-23] [MQTT-4.1.0-2]
func TestExpiryChangedAtTheEnd(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, h *house) {
		for _, tt := range []struct {
			asked, left uint32
			wait        time.Duration
			still       bool
		}{
			{10, 100, 90 * time.Second, true}, {10, 100, 110 * time.Second, false},
			{100, 10, 9 * time.Second, true}, {100, 10, 20 * time.Second, false}, {100, 0, 0, false},
		} {
			c, _ := h.login(packet.V5, "c", expiry(tt.asked))
			var d packet.Disconnect
			d.Props.SetSessionExpiry(tt.left)
			c.send(&d)
			c.expectEnd(packet.Success)
			after(tt.wait)
			c, ack := h.login(packet.V5, "c", resume)
			if ack.SessionPresent != tt.still {
				t.Errorf("%d s asked, %d s when it left: after %s present %t", tt.asked, tt.left, tt.wait, ack.SessionPresent)
			}
			c.leave()
		}
	})
}

// TestNothingFollowsDisconnect: what is published between the last words and the end of the connection, or was asked for by the
// client, is not sent. v5 [MQTT-3.14.4-1]
func TestNothingFollowsDisconnect(t *testing.T) {
	h := build(t, Config{})
	pub, _ := h.login(packet.V5, "pub")
	sub, _ := h.login(packet.V5, "sub", keepSession)
	sub.subscribe(1, "x")
	s := h.session("sub")
	s.out.mu.Lock()
	c := s.out.conn
	s.out.mu.Unlock()
	c.lastWords(packet.AdministrativeAction, "")
	pub.publish("x", "0", 0, 0)
	pub.publish("x", "1", 1, 1)
	pub.expectAck(packet.TypePuback, 1)
	sub.write([]byte{0xC0, 0}) // PINGREQ
	sub.expectDisconnect(packet.AdministrativeAction)
	c.conn.Shutdown()
	sub.expectEnd(packet.Success)
	sub, _ = h.login(packet.V5, "sub", resume, keepSession)
	sub.expectMessage("x", "1") // it was kept for the next one
}

func (c *client) expectDisconnect(reason packet.Reason) {
	c.t.Helper()
	if d := c.expect(packet.TypeDisconnect).(*packet.Disconnect); d.Reason != reason {
		c.t.Fatalf("DISCONNECT %s, want %s", d.Reason, reason)
	}
}
