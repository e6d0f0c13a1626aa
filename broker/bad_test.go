package broker

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"weir/broker/packet"
)

func TestGarbageOnThePort(t *testing.T) {
	h := build(t, Config{MaxPacket: 1000})
	for name, bytes := range map[string]string{
		"TLS":          "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"HTTP":         "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"zeros":        strings.Repeat("\x00", 100),
		"oversized":    "\x10\xff\xff\xff\x7f",
		"long length":  "\x10\xff\xff\xff\xff\x7f",
		"not CONNECT":  "\xc0\x00",                                                       // v5 [MQTT-3.1.0-1], 3.1.1 [MQTT-3.1.0-1]
		"short":        "\x10\x02\x00\x04",                                               // 3.1.1 [MQTT-3.1.4-1]
		"reserved bit": "\x10\x0d\x00\x04MQTT\x04\x03\x00\x00\x00\x01c",                  // 3.1.1 [MQTT-3.1.2-3]
		"QoS 3 will":   "\x10\x12\x00\x04MQTT\x04\x1e\x00\x00\x00\x01c\x00\x01w\x00\x00", // 3.1.1 [MQTT-3.1.2-14]
	} {
		t.Run(name, func(t *testing.T) {
			h.t = t
			before := h.b.Stats().ProtocolErrors
			c := h.dial(packet.V311)
			c.write([]byte(bytes))
			c.expectEnd(packet.Success)
			h.until(func() bool { return h.b.Stats().ProtocolErrors == before+1 })
		})
	}
	h.t = t
}

// v5 [MQTT-3.1.2-1] [MQTT-3.1.2-2] [MQTT-3.1.4-1] [MQTT-3.1.2-3], 3.1.1 [MQTT-3.1.2-2]
func TestConnectRefusedInItsOwnForm(t *testing.T) {
	h := build(t, Config{})
	for _, tt := range []struct {
		name, connect string
		v             packet.Version
		want          packet.Reason
	}{
		{"level 6", "\x10\x0e\x00\x04MQTT\x06\x02\x00\x00\x00\x00\x01c", packet.V5, packet.UnsupportedProtocolVersion},
		{"level 0", "\x10\x0d\x00\x04MQTT\x00\x02\x00\x00\x00\x01c", packet.V311, packet.UnsupportedProtocolVersion},
		{"level 3 of a bridge", "\x10\x0f\x00\x06MQIsdp\x83\x02\x00\x00\x00\x01c", packet.V311, packet.UnsupportedProtocolVersion},
		{"level 5 of a bridge", "\x10\x0d\x00\x04MQTT\x85\x02\x00\x00\x00\x01c", packet.V311, packet.UnsupportedProtocolVersion},
		{"level 3", "\x10\x0f\x00\x06MQIsdp\x03\x02\x00\x00\x00\x01c", packet.V311, packet.UnsupportedProtocolVersion},
		{"5.0 with the reserved bit", "\x10\x0e\x00\x04MQTT\x05\x03\x00\x00\x00\x00\x01c", packet.V5, packet.MalformedPacket},
		{"5.0 with trailing bytes", "\x10\x0f\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x01cx", packet.V5, packet.MalformedPacket},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h.t = t
			c := h.dial(tt.v)
			c.write([]byte(tt.connect))
			if a := c.expect(packet.TypeConnack).(*packet.Connack); a.Reason != tt.want || a.SessionPresent {
				t.Errorf("CONNACK %s, want %s", a.Reason, tt.want)
			}
			c.expectEnd(packet.Success) // and no DISCONNECT: v5 [MQTT-3.14.0-1]
		})
	}
	h.t = t
}

func TestProtocolViolations(t *testing.T) {
	long := bytes.Repeat([]byte("x"), 2000)
	for _, tt := range []struct {
		name string
		send []byte
		want packet.Reason // on 5.0
	}{
		{"second CONNECT", []byte("\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01c"), packet.ProtocolError}, // [MQTT-3.1.0-2]
		{"CONNACK", []byte{0x20, 2, 0, 0}, packet.ProtocolError},
		{"PUBLISH QoS 3", []byte{0x36, 3, 0, 1, 'a'}, packet.MalformedPacket},                     // [MQTT-3.3.1-4]
		{"PUBLISH QoS 0 DUP", []byte{0x38, 4, 0, 1, 'a', 0}, packet.MalformedPacket},              // v5 [MQTT-3.3.1-2]
		{"PUBREL with flags 0", []byte{0x60, 2, 0, 1}, packet.MalformedPacket},                    // [MQTT-3.6.1-1]
		{"SUBSCRIBE without filters", []byte{0x82, 3, 0, 1, 0}, packet.ProtocolError},             // v5 [MQTT-3.8.3-2]
		{"UNSUBSCRIBE without filters", []byte{0xA2, 3, 0, 1, 0}, packet.ProtocolError},           // v5 [MQTT-3.10.3-2]
		{"reserved type", []byte{0x00, 0}, packet.MalformedPacket},                                //
		{"PINGREQ with a body", []byte{0xC0, 1, 0}, packet.MalformedPacket},                       //
		{"DISCONNECT with flags", []byte{0xE1, 0}, packet.MalformedPacket},                        // v5 [MQTT-3.14.1-1]
		{"topic with a wildcard", []byte{0x30, 5, 0, 2, 'a', '#', 0}, packet.TopicNameInvalid},    // v5 [MQTT-3.3.2-2]
		{"too large", append([]byte{0x30, 0xD0, 0x0F}, long...), packet.PacketTooLarge},           // v5 [MQTT-3.2.2-15]
		{"length of five bytes", []byte{0x30, 0xFF, 0xFF, 0xFF, 0xFF, 1}, packet.MalformedPacket}, // v5 [MQTT-1.5.5-1]
		{"packet id 0", []byte{0x32, 6, 0, 1, 'a', 0, 0, 0}, packet.ProtocolError},                // v5 [MQTT-2.2.1-3]
	} {
		each(t, func(t *testing.T, v packet.Version) {
			h := build(t, Config{MaxPacket: 1000})
			c, _ := h.login(v, tt.name)
			c.write(tt.send)
			_, kind, err := c.next()
			switch {
			case v == packet.V311 && err == nil:
				t.Errorf("%s: got %s, want the connection closed", tt.name, kind)
			case v == packet.V5 && (err != nil || kind != packet.TypeDisconnect):
				t.Errorf("%s: got %s %v, want DISCONNECT", tt.name, kind, err)
			}
			h.until(func() bool { s := h.b.Stats(); return s.ProtocolErrors == 1 && s.Connections == 0 })
		})
	}
	h := build(t, Config{MaxPacket: 1000})
	for name, want := range map[string]struct {
		bytes  []byte
		reason packet.Reason
	}{
		"AUTH":                           {[]byte{0xF0, 0}, packet.ProtocolError},                        // v5 [MQTT-4.12.0-7]
		"subscription id":                {[]byte{0x30, 6, 0, 1, 'a', 2, 0x0B, 1}, packet.ProtocolError}, // v5 [MQTT-3.3.4-6]
		"alias 0":                        {[]byte{0x30, 7, 0, 1, 'a', 3, 0x23, 0, 0}, packet.TopicAliasInvalid},
		"response topic with a wildcard": {[]byte{0x30, 8, 0, 1, 'a', 4, 0x08, 0, 1, '#'}, packet.ProtocolError}, // v5 [MQTT-3.3.2-14]
		"topic that is no UTF-8":         {[]byte{0x30, 4, 0, 1, 0xFF, 0}, packet.MalformedPacket},
	} {
		c, _ := h.login(packet.V5, name)
		c.write(want.bytes)
		d, kind, err := c.next()
		if err != nil || kind != packet.TypeDisconnect {
			t.Errorf("%s: got %s %v, want DISCONNECT", name, kind, err)
		} else if got := d.(*packet.Disconnect).Reason; got != want.reason {
			t.Errorf("%s: DISCONNECT %s, want %s", name, got, want.reason)
		}
	}
}

// users is an Authenticator.
type users map[string]string

func (u users) Credential(_, name string) uint64 { return uint64(len(u[name])) }

func (u users) Verify(_ context.Context, _, name string, password []byte) (bool, error) {
	if name == "broken" {
		return false, fmt.Errorf("disk on fire")
	}
	return u[name] != "" && u[name] == string(password), nil
}

// v5 [MQTT-3.1.4-2] [MQTT-3.2.2-7] [MQTT-3.2.2-8] [MQTT-4.12.0-1], 3.1.1 [MQTT-3.2.2-4] [MQTT-3.2.2-5]
func TestLogin(t *testing.T) {
	login := func(name, password string) func(*packet.Connect) {
		return func(p *packet.Connect) {
			p.HasUsername, p.HasPassword = name != "", name != ""
			p.Username, p.Password = []byte(name), []byte(password)
		}
	}
	each(t, func(t *testing.T, v packet.Version) {
		open, closed := Config{}, Config{Users: users{"pump": "secret"}, Anonymous: func(string) bool { return false }}
		both := Config{Users: users{"pump": "secret"}} // a loopback listener is anonymous
		for _, tt := range []struct {
			cfg            Config
			name, password string
			want           packet.Reason
		}{
			{open, "", "", packet.Success},
			{open, "anybody", "x", packet.Success},
			{closed, "", "", packet.NotAuthorized},
			{closed, "pump", "secret", packet.Success},
			{closed, "pump", "wrong", packet.BadUserNameOrPassword},
			{closed, "broken", "x", packet.ServerUnavailable},
			{both, "", "", packet.Success},
			{both, "pump", "wrong", packet.BadUserNameOrPassword},
		} {
			h := build(t, tt.cfg)
			c := h.dial(v)
			ack := c.connect("c", login(tt.name, tt.password))
			if ack.Reason != tt.want {
				t.Errorf("%q %q: CONNACK %s, want %s", tt.name, tt.password, ack.Reason, tt.want)
			}
			if tt.want == packet.Success {
				c.nothing()
				continue
			}
			c.expectEnd(packet.Success)
			h.until(func() bool { return h.b.Stats().Refused == 1 })
		}
	})
	h := build(t, Config{})
	c := h.dial(packet.V5)
	if ack := c.connect("c", func(p *packet.Connect) { p.Props.SetAuthMethod([]byte("SCRAM-SHA-256")) }); ack.Reason != packet.BadAuthenticationMethod {
		t.Errorf("CONNACK %s", ack.Reason)
	}
}

// TestPacketsBehindRefusedConnect: v5 [MQTT-3.1.4-6], 3.1.1 [MQTT-3.1.4-5]
func TestPacketsBehindRefusedConnect(t *testing.T) {
	h := build(t, Config{Anonymous: func(string) bool { return false }})
	h.route("#")
	c := h.dial(packet.V5)
	c.send(&packet.Connect{CleanStart: true, ClientID: []byte("c")}, message1("x", "", 0, 0))
	c.expect(packet.TypeConnack)
	c.expectEnd(packet.Success)
	if n := len(h.journal.wait(t, 0)); n != 0 {
		t.Errorf("%d messages were taken", n)
	}
}

// TestPacketsBehindConnect: a client need not wait for CONNACK.
func TestPacketsBehindConnect(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{})
		c := h.dial(v)
		c.send(&packet.Connect{CleanStart: true, ClientID: []byte("c")},
			&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: []byte("x")}}}, message1("x", "1", 0, 0))
		c.expect(packet.TypeConnack)
		c.expect(packet.TypeSuback)
		c.expectMessage("x", "1")
	})
}

// TestLargePackets: larger than any buffer, byte by byte and at once.
func TestLargePackets(t *testing.T) {
	h := build(t, Config{MaxPacket: 4 << 20, QueueBytes: 8 << 20})
	pub, _ := h.login(packet.V5, "pub")
	sub, _ := h.login(packet.V5, "sub")
	sub.subscribe(1, "x")
	for _, size := range []int{4000, 4096, 65536, 200000, 3 << 20} {
		payload := strings.Repeat("abcdefg", size/7)
		pub.publish("x", payload, 0, 0)
		sub.expectMessage("x", payload)
	}
	b, _ := message1("x", "slow", 0, 0).Append(nil, packet.V5)
	for i := range b {
		pub.write(b[i : i+1])
	}
	sub.expectMessage("x", "slow")
}
