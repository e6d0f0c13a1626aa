package broker

import (
	"testing"

	"weir/broker/packet"
)

// Packets that a client must not send, built by hand, as they are in 3.1.1 and in 5.0; empty: there is no such packet in that
// version. The remaining length is left out. Each closes the connection of who sent it, told why on 5.0.
var badPackets = []struct {
	name, v311, v5 string
	want           packet.Reason
}{
	{"first reserved type", "00", "00", packet.MalformedPacket},
	{"[MQTT-3.1.0-2] second CONNECT", "10 0004 4D515454 04 02 0000 0001 63", "10 0004 4D515454 05 02 0000 00 0001 63", packet.ProtocolError},
	{"SUBACK from a client", "90 0001 00", "90 0001 00 00", packet.ProtocolError},
	{"UNSUBACK from a client", "B0 0001", "B0 0001 00 00", packet.ProtocolError},
	{"PINGRESP from a client", "D0", "D0", packet.ProtocolError},

	// Flags of each type: v5 [MQTT-2.1.3-1], 3.1.1 [MQTT-2.2.2-1] [MQTT-2.2.2-2]
	{"PUBACK with flags", "42 0001", "42 0001", packet.MalformedPacket},
	{"PUBREC with flags", "52 0001", "52 0001", packet.MalformedPacket},
	{"[MQTT-3.6.1-1] PUBREL without its flags", "60 0001", "60 0001", packet.MalformedPacket},
	{"[MQTT-3.6.1-1] PUBREL with others", "66 0001", "66 0001", packet.MalformedPacket},
	{"PUBCOMP with flags", "71 0001", "71 0001", packet.MalformedPacket},
	{"[MQTT-3.8.1-1] SUBSCRIBE without its flags", "80 0001 0001 61 00", "80 0001 00 0001 61 00", packet.MalformedPacket},
	{"[MQTT-3.10.1-1] UNSUBSCRIBE without its flags", "A0 0001 0001 61", "A0 0001 00 0001 61", packet.MalformedPacket},
	{"PINGREQ with flags", "C8", "C8", packet.MalformedPacket},
	{"[MQTT-3.14.1-1] DISCONNECT with flags", "E2", "E2", packet.MalformedPacket},
	{"v5 [MQTT-3.15.1-1] AUTH with flags", "", "F1", packet.MalformedPacket},
	{"[MQTT-3.3.1-4] PUBLISH with QoS 3", "36 0001 61 0001", "36 0001 61 0001 00", packet.MalformedPacket},
	{"[MQTT-3.3.1-2] PUBLISH with DUP and QoS 0", "38 0001 61", "38 0001 61 00", packet.MalformedPacket},

	// Packet id 0: v5 [MQTT-2.2.1-3], 3.1.1 [MQTT-2.3.1-1]
	{"PUBLISH QoS 1 with id 0", "32 0001 61 0000", "32 0001 61 0000 00", packet.ProtocolError},
	{"PUBLISH QoS 2 with id 0", "34 0001 61 0000", "34 0001 61 0000 00", packet.ProtocolError},
	{"SUBSCRIBE with id 0", "82 0000 0001 61 00", "82 0000 00 0001 61 00", packet.ProtocolError},
	{"UNSUBSCRIBE with id 0", "A2 0000 0001 61", "A2 0000 00 0001 61", packet.ProtocolError},
	{"PUBREL with id 0", "62 0000", "62 0000", packet.ProtocolError},

	// Text: v5 [MQTT-1.5.4-1] [MQTT-1.5.4-2] [MQTT-1.5.7-1], 3.1.1 [MQTT-1.5.3-1] [MQTT-1.5.3-2]
	{"[MQTT-3.3.2-1] topic that is no UTF-8", "30 0002 61FF", "30 0002 61FF 00", packet.MalformedPacket},
	{"topic with half a pair", "30 0003 EDA080", "30 0003 EDA080 00", packet.MalformedPacket},
	{"[MQTT-4.7.3-2] topic with U+0000", "30 0002 6100", "30 0002 6100 00", packet.MalformedPacket},
	{"[MQTT-3.8.3-1] filter that is no UTF-8", "82 0001 0002 C328 00", "82 0001 00 0002 C328 00", packet.MalformedPacket},
	{"[MQTT-4.7.3-2] filter with U+0000", "82 0001 0001 00 00", "82 0001 00 0001 00 00", packet.MalformedPacket},
	{"[MQTT-3.10.3-1] filter to remove that is no UTF-8", "A2 0001 0001 80", "A2 0001 00 0001 80", packet.MalformedPacket},
	{"v5 [MQTT-3.3.2-13] response topic that is no UTF-8", "", "30 0001 61 04 08 0001 FF", packet.MalformedPacket},
	{"v5 [MQTT-3.3.2-19] content type that is no UTF-8", "", "30 0001 61 04 03 0001 FF", packet.MalformedPacket},
	{"v5 [MQTT-1.5.7-1] user property with a key that is no UTF-8", "", "30 0001 61 06 26 0001 FF 0000", packet.MalformedPacket},
	{"v5 [MQTT-1.5.7-1] user property with a value that is no UTF-8", "", "30 0001 61 06 26 0000 0001 FF", packet.MalformedPacket},

	// Topics
	{"[MQTT-3.3.2-2] topic with #, v5 [MQTT-4.7.0-1], 3.1.1 [MQTT-4.7.1-1]", "30 0003 61 2F 23", "30 0003 61 2F 23 00", packet.TopicNameInvalid},
	{"[MQTT-3.3.2-2] topic with +, v5 [MQTT-4.7.0-1], 3.1.1 [MQTT-4.7.1-1]", "30 0001 2B", "30 0001 2B 00", packet.TopicNameInvalid},
	{"[MQTT-4.7.3-1] empty topic", "30 0000", "30 0000 00", packet.ProtocolError},
	{"v5 [MQTT-3.3.2-14] response topic with a wildcard", "", "30 0001 61 04 08 0001 23", packet.ProtocolError},
	{"v5 [MQTT-3.3.2-8] alias 0", "", "30 0001 61 03 23 0000", packet.TopicAliasInvalid},
	{"alias that was not set", "", "30 0000 03 23 0001", packet.ProtocolError},
	{"v5 [MQTT-3.3.4-6] PUBLISH with a subscription identifier", "", "30 0001 61 02 0B 01", packet.ProtocolError},

	// Subscriptions
	{"v5 [MQTT-3.8.3-2], 3.1.1 [MQTT-3.8.3-3] SUBSCRIBE without a filter", "82 0001", "82 0001 00", packet.ProtocolError},
	{"SUBSCRIBE without the options", "82 0001 0001 61", "82 0001 00 0001 61", packet.MalformedPacket},
	{"SUBSCRIBE with a filter that is cut off", "82 0001 0005 61", "82 0001 00 0005 61", packet.MalformedPacket},
	{"3.1.1 [MQTT-3.8.3-4] SUBSCRIBE with QoS 3", "82 0001 0001 61 03", "82 0001 00 0001 61 03", packet.ProtocolError},
	{"v5 [MQTT-3.8.3-5], 3.1.1 [MQTT-3.8.3-4] SUBSCRIBE with reserved bits", "82 0001 0001 61 40", "82 0001 00 0001 61 40", packet.MalformedPacket},
	{"SUBSCRIBE with retain handling 3", "", "82 0001 00 0001 61 30", packet.ProtocolError},
	{"v5 [MQTT-3.8.3-4] no local on a shared subscription", "", "82 0001 00 000A 2473686172652F672F61 04", packet.ProtocolError},
	{"SUBSCRIBE with subscription identifier 0", "", "82 0001 02 0B 00 0001 61 00", packet.ProtocolError},
	{"[MQTT-3.10.3-2] UNSUBSCRIBE without a filter", "A2 0001", "A2 0001 00", packet.ProtocolError},

	// Properties
	{"property that stands twice", "", "30 0001 61 04 01 00 01 00", packet.ProtocolError},
	{"property of another packet", "", "30 0001 61 05 11 00000001", packet.MalformedPacket},
	{"property that there is not", "", "30 0001 61 02 7F 00", packet.MalformedPacket},
	{"properties that are cut off", "", "30 0001 61 09 01 00", packet.MalformedPacket},
	{"payload format 2", "", "30 0001 61 02 01 02", packet.ProtocolError},
	{"v5 [MQTT-1.5.5-1] length of properties of five bytes", "", "30 0001 61 80 80 80 80 01", packet.MalformedPacket},
	{"v5 [MQTT-1.5.5-1] length of properties longer than need be", "", "30 0001 61 80 00", packet.MalformedPacket},

	// Reasons: v5 [MQTT-3.4.2-1] [MQTT-3.5.2-1] [MQTT-3.6.2-1] [MQTT-3.7.2-1] [MQTT-3.14.2-1] [MQTT-3.15.2-1]
	{"PUBACK with a reason of another packet", "", "40 0001 92", packet.ProtocolError},
	{"PUBREC with a reason of another packet", "", "50 0001 18", packet.ProtocolError},
	{"PUBREL with a reason of another packet", "", "62 0001 10", packet.ProtocolError},
	{"PUBCOMP with a reason of another packet", "", "70 0001 87", packet.ProtocolError},
	{"DISCONNECT with a reason of another packet", "", "E0 18", packet.ProtocolError},
	{"AUTH with a reason of another packet", "", "F0 04 04 15 0001 6D", packet.ProtocolError},

	// What stands behind the end, and what is missing
	{"PINGREQ with a body", "C0 00", "C0 00", packet.MalformedPacket},
	{"PUBACK cut off", "40 00", "40 00", packet.MalformedPacket},
	{"PUBACK with more", "40 0001 00", "40 0001 00 00 00", packet.MalformedPacket},
	{"DISCONNECT with more", "E0 00", "E0 00 00 00", packet.MalformedPacket},
	{"PUBLISH with a topic longer than itself", "30 0009 61", "30 0009 61 00", packet.MalformedPacket},
	{"PUBLISH with half an id", "32 0001 61 00", "32 0001 61 00", packet.MalformedPacket},
}

// TestBadPackets: v5 [MQTT-4.13.1-1] [MQTT-3.14.4-2], 3.1.1 [MQTT-4.8.0-1]. What the client published before is delivered, its
// will is too, and nobody else notices.
func TestBadPackets(t *testing.T) {
	both(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{})
		watch, _ := h.login(v, "watch")
		watch.subscribe(0, "#")
		for _, tt := range badPackets {
			digits := tt.v311
			if v == packet.V5 {
				digits = tt.v5
			}
			if digits == "" {
				continue
			}
			t.Run(tt.name, func(t *testing.T) {
				h.t, watch.t = t, t
				c, _ := h.login(v, "c", lastWill("will", "x", 0))
				before, _ := message1("before", "x", 0, 0).Append(nil, v)
				behind, _ := message1("behind", "x", 0, 0).Append(nil, v)
				c.write(append(append(before, raw(t, digits)...), behind...))
				watch.expectMessage("before", "x")
				c.expectEnd(tt.want)
				watch.expectMessage("will", "x")
				watch.nothing()
			})
		}
		h.t, watch.t = t, t
		h.until(func() bool { s := h.b.Stats(); return s.Connections == 1 && s.Sessions == 1 })
	})
}

// TestLengthInItsShortestForm: v5 [MQTT-1.5.5-1]. 3.1.1 does not ask for it.
func TestLengthInItsShortestForm(t *testing.T) {
	h := build(t, Config{})
	for _, sent := range []string{
		"\xC0\x80\x00", "\x30\x84\x00\x00\x01x\x00", "\x82\x87\x80\x00\x00\x01\x00\x00\x01x\x00", "\xE0\x80\x80\x80\x00", "\x40\x82\x00\x00\x01",
	} {
		c, _ := h.login(packet.V5, "c")
		c.write([]byte(sent))
		c.expectEnd(packet.MalformedPacket)
	}
	c := h.dial(packet.V5)
	c.write([]byte("\x10\x8e\x00\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x01c"))
	if a := c.expect(packet.TypeConnack).(*packet.Connack); a.Reason != packet.MalformedPacket {
		t.Errorf("CONNACK %s, want %s", a.Reason, packet.MalformedPacket)
	}
	c.expectEnd(packet.Success)
	old := h.dial(packet.V311)
	old.write([]byte("\x10\x8d\x00\x00\x04MQTT\x04\x02\x00\x00\x00\x01c"))
	old.expect(packet.TypeConnack)
	old.write([]byte("\xC0\x80\x00"))
	old.expect(packet.TypePingresp)
}

// CONNECTs that are refused: on 5.0 with a reason, on 3.1.1 without a word.
var badConnects = []struct {
	name, v311, v5 string
	want           packet.Reason // on 5.0
}{
	{"[MQTT-3.1.2-3] reserved flag", "10 0004 4D515454 04 03 0000 0001 63", "10 0004 4D515454 05 03 0000 00 0001 63", packet.MalformedPacket},
	{"v5 [MQTT-3.1.2-12], 3.1.1 [MQTT-3.1.2-14] will of QoS 3", "10 0004 4D515454 04 1E 0000 0001 63 0001 77 0000", "10 0004 4D515454 05 1E 0000 00 0001 63 00 0001 77 0000", packet.MalformedPacket},
	{"v5 [MQTT-3.1.2-11], 3.1.1 [MQTT-3.1.2-13] [MQTT-3.1.2-11] QoS of no will", "10 0004 4D515454 04 0A 0000 0001 63", "10 0004 4D515454 05 0A 0000 00 0001 63", packet.MalformedPacket},
	{"v5 [MQTT-3.1.2-13], 3.1.1 [MQTT-3.1.2-15] [MQTT-3.1.2-11] no will, retained", "10 0004 4D515454 04 22 0000 0001 63", "10 0004 4D515454 05 22 0000 00 0001 63", packet.MalformedPacket},
	{"v5 [MQTT-3.1.2-9], 3.1.1 [MQTT-3.1.2-9] will without a payload", "10 0004 4D515454 04 06 0000 0001 63 0001 77", "10 0004 4D515454 05 06 0000 00 0001 63 00 0001 77", packet.MalformedPacket},
	{"v5 [MQTT-3.1.2-17], 3.1.1 [MQTT-3.1.2-19] no user name", "10 0004 4D515454 04 82 0000 0001 63", "10 0004 4D515454 05 82 0000 00 0001 63", packet.MalformedPacket},
	{"v5 [MQTT-3.1.2-19], 3.1.1 [MQTT-3.1.2-21] no password", "10 0004 4D515454 04 C2 0000 0001 63 0001 75", "10 0004 4D515454 05 C2 0000 00 0001 63 0001 75", packet.MalformedPacket},
	{"3.1.1 [MQTT-3.1.2-22] password without a user name", "10 0004 4D515454 04 42 0000 0001 63 0001 70", "", 0},
	{"[MQTT-3.1.3-3] no client id", "10 0004 4D515454 04 02 0000", "10 0004 4D515454 05 02 0000 00", packet.MalformedPacket},
	{"[MQTT-3.1.3-4] client id that is no UTF-8", "10 0004 4D515454 04 02 0000 0001 FF", "10 0004 4D515454 05 02 0000 00 0001 FF", packet.MalformedPacket},
	{"v5 [MQTT-3.1.3-11], 3.1.1 [MQTT-3.1.3-10] will topic that is no UTF-8", "10 0004 4D515454 04 06 0000 0001 63 0001 FF 0000", "10 0004 4D515454 05 06 0000 00 0001 63 00 0001 FF 0000", packet.MalformedPacket},
	{"v5 [MQTT-3.1.3-12], 3.1.1 [MQTT-3.1.3-11] user name that is no UTF-8", "10 0004 4D515454 04 82 0000 0001 63 0001 FF", "10 0004 4D515454 05 82 0000 00 0001 63 0001 FF", packet.MalformedPacket},
	{"v5 [MQTT-3.1.4-1], 3.1.1 [MQTT-3.1.4-1] more behind the end", "10 0004 4D515454 04 02 0000 0001 63 00", "10 0004 4D515454 05 02 0000 00 0001 63 00", packet.MalformedPacket},
	{"property that stands twice", "", "10 0004 4D515454 05 02 0000 0A 11 00000001 11 00000001 0001 63", packet.ProtocolError},
	{"receive maximum 0", "", "10 0004 4D515454 05 02 0000 03 21 0000 0001 63", packet.ProtocolError},
	{"largest packet 0", "", "10 0004 4D515454 05 02 0000 05 27 00000000 0001 63", packet.ProtocolError},
	{"request problem information 2", "", "10 0004 4D515454 05 02 0000 02 17 02 0001 63", packet.ProtocolError},
	{"authentication data without a method", "", "10 0004 4D515454 05 02 0000 04 16 0001 78 0001 63", packet.ProtocolError},
	{"property of PUBLISH", "", "10 0004 4D515454 05 02 0000 03 23 0001 0001 63", packet.MalformedPacket},
}

// TestBadConnects: v5 [MQTT-3.2.2-7] [MQTT-4.13.2-1] [MQTT-3.14.0-1], 3.1.1 [MQTT-3.2.2-6] [MQTT-4.8.0-1]. Nothing is left of them.
func TestBadConnects(t *testing.T) {
	both(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{})
		for _, tt := range badConnects {
			digits := tt.v311
			if v == packet.V5 {
				digits = tt.v5
			}
			if digits == "" {
				continue
			}
			t.Run(tt.name, func(t *testing.T) {
				h.t = t
				c := h.dial(v)
				c.write(append(raw(t, digits), 0xC0, 0)) // with a PINGREQ behind it
				if v == packet.V5 {
					if a := c.expect(packet.TypeConnack).(*packet.Connack); a.Reason != tt.want || a.SessionPresent {
						t.Errorf("CONNACK %s (%s), want %s", a.Reason, a.Props.ReasonString, tt.want)
					}
				}
				c.expectEnd(packet.Success)
			})
		}
		h.t = t
		h.until(func() bool { s := h.b.Stats(); return s.Connections == 0 && s.Sessions == 0 })
	})
}
