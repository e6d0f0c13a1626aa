package packet

import "testing"

// What must not decode, each with the reason for closing the connection.
var invalidPackets = []invalid{
	{"CONNECT 3.1.1 [MQTT-3.1.2-1] other protocol name", V311, "10 0004 4D515455 04 02 003C 0001 61", UnsupportedProtocolVersion},
	{"CONNECT protocol name of MQTT 3.1", V311, "10 0006 4D5149736470 03 02 003C 0001 61", UnsupportedProtocolVersion},
	{"CONNECT protocol name longer than the packet", V311, "10 0005 4D515454", MalformedPacket},
	{"CONNECT 3.1.1 [MQTT-3.1.2-2] level 3", V311, "10 0004 4D515454 03 02 003C 0001 61", UnsupportedProtocolVersion},
	{"CONNECT v5 [MQTT-3.1.2-2] level 6", V5, "10 0004 4D515454 06 02 003C 00 0001 61", UnsupportedProtocolVersion},
	{"CONNECT 3.1.1 [MQTT-3.1.2-3] reserved flag", V311, "10 0004 4D515454 04 03 003C 0001 61", MalformedPacket},
	{"CONNECT v5 [MQTT-3.1.2-3] reserved flag", V5, "10 0004 4D515454 05 03 003C 00 0001 61", MalformedPacket},
	{"CONNECT 3.1.1 [MQTT-3.1.2-14] will qos 3", V311, "10 0004 4D515454 04 1E 003C 0001 61 0001 74 0000", MalformedPacket},
	{"CONNECT v5 [MQTT-3.1.2-12] will qos 3", V5, "10 0004 4D515454 05 1E 003C 00 0001 61 00 0001 74 0000", MalformedPacket},
	{"CONNECT 3.1.1 [MQTT-3.1.2-13] will qos without a will", V311, "10 0004 4D515454 04 0A 003C 0001 61", MalformedPacket},
	{"CONNECT v5 [MQTT-3.1.2-11] will qos without a will", V5, "10 0004 4D515454 05 12 003C 00 0001 61", MalformedPacket},
	{"CONNECT 3.1.1 [MQTT-3.1.2-15] will retain without a will", V311, "10 0004 4D515454 04 22 003C 0001 61", MalformedPacket},
	{"CONNECT v5 [MQTT-3.1.2-13] will retain without a will", V5, "10 0004 4D515454 05 22 003C 00 0001 61", MalformedPacket},
	{"CONNECT 3.1.1 [MQTT-3.1.2-22] password without a user name", V311, "10 0004 4D515454 04 42 003C 0001 61 0001 70", MalformedPacket},
	{"CONNECT 3.1.1 [MQTT-3.1.3-3] no client id", V311, "10 0004 4D515454 04 02 003C", MalformedPacket},
	{"CONNECT no property length", V5, "10 0004 4D515454 05 02 003C", MalformedPacket},
	{"CONNECT 3.1.1 [MQTT-3.1.2-9] will flag without a will", V311, "10 0004 4D515454 04 06 003C 0001 61", MalformedPacket},
	{"CONNECT v5 [MQTT-3.1.2-9] will flag without a will payload", V5, "10 0004 4D515454 05 06 003C 00 0001 61 00 0001 74", MalformedPacket},
	{"CONNECT 3.1.1 [MQTT-3.1.2-19] user name flag without one", V311, "10 0004 4D515454 04 82 003C 0001 61", MalformedPacket},
	{"CONNECT v5 [MQTT-3.1.2-17] user name flag without one", V5, "10 0004 4D515454 05 82 003C 00 0001 61", MalformedPacket},
	{"CONNECT 3.1.1 [MQTT-3.1.2-21] password flag without one", V311, "10 0004 4D515454 04 C2 003C 0001 61 0001 75", MalformedPacket},
	{"CONNECT v5 [MQTT-3.1.2-18] password without its flag", V5, "10 0004 4D515454 05 82 003C 00 0001 61 0001 75 0001 70", MalformedPacket},
	{"CONNECT 3.1.1 [MQTT-3.1.2-18] user name without its flag", V311, "10 0004 4D515454 04 02 003C 0001 61 0001 75", MalformedPacket},
	{"CONNECT 3.1.1 [MQTT-3.1.3-4] client id not UTF-8", V311, "10 0004 4D515454 04 02 003C 0001 FF", MalformedPacket},
	{"CONNECT v5 [MQTT-3.1.3-4] client id not UTF-8", V5, "10 0004 4D515454 05 02 003C 00 0001 FF", MalformedPacket},
	{"CONNECT 3.1.1 [MQTT-3.1.3-10] will topic not UTF-8", V311, "10 0004 4D515454 04 06 003C 0001 61 0001 FF 0000", MalformedPacket},
	{"CONNECT v5 [MQTT-3.1.3-11] will topic not UTF-8", V5, "10 0004 4D515454 05 06 003C 00 0001 61 00 0001 FF 0000", MalformedPacket},
	{"CONNECT 3.1.1 [MQTT-3.1.3-11] user name not UTF-8", V311, "10 0004 4D515454 04 82 003C 0001 61 0001 FF", MalformedPacket},
	{"CONNECT v5 [MQTT-3.1.3-12] user name not UTF-8", V5, "10 0004 4D515454 05 82 003C 00 0001 61 0001 FF", MalformedPacket},
	{"CONNECT 3.1.1 [MQTT-3.1.4-1] bytes after the end", V311, "10 0004 4D515454 04 02 003C 0001 61 00", MalformedPacket},
	{"CONNECT bytes after the end", V5, "10 0004 4D515454 05 02 003C 00 0001 61 00", MalformedPacket},
	{"CONNECT authentication data without a method", V5, "10 0004 4D515454 05 02 003C 04 16 0001 64 0001 61", ProtocolError},
	{"CONNECT will delay among its own properties", V5, "10 0004 4D515454 05 02 003C 05 1800000001 0001 61", MalformedPacket},
	{"CONNECT empty", V5, "10", MalformedPacket},

	{"CONNACK reserved flags", V311, "20 02 00", MalformedPacket},
	{"CONNACK v5 [MQTT-3.2.2-1] reserved flags", V5, "20 80 00 00", MalformedPacket},
	{"CONNACK return code 6", V311, "20 00 06", ProtocolError},
	{"CONNACK v5 [MQTT-3.2.2-8] reason of another packet", V5, "20 00 04 00", ProtocolError},
	{"CONNACK 3.1.1 [MQTT-3.2.2-4] session present and refused", V311, "20 01 05", ProtocolError},
	{"CONNACK v5 [MQTT-3.2.2-6] session present and refused", V5, "20 01 87 00", ProtocolError},
	{"CONNACK of 5.0", V311, "20 00 00 00", MalformedPacket},
	{"CONNACK of 3.1.1", V5, "20 00 00", MalformedPacket},
	{"CONNACK cut off", V311, "20 00", MalformedPacket},

	{"PUBLISH 3.1.1 [MQTT-3.3.1-4] qos 3", V311, "36 0001 61 0001", MalformedPacket},
	{"PUBLISH v5 [MQTT-3.3.1-2] dup with qos 0", V5, "38 0001 61 00", MalformedPacket},
	{"PUBLISH 3.1.1 [MQTT-2.3.1-1] packet id 0", V311, "32 0001 61 0000", ProtocolError},
	{"PUBLISH v5 [MQTT-2.2.1-3] packet id 0", V5, "34 0001 61 0000 00", ProtocolError},
	{"PUBLISH packet id cut off", V311, "32 0001 61 01", MalformedPacket},
	{"PUBLISH 3.1.1 [MQTT-3.3.2-1] topic not UTF-8", V311, "30 0001 C0", MalformedPacket},
	{"PUBLISH v5 [MQTT-3.3.2-1] topic not UTF-8", V5, "30 0001 C0 00", MalformedPacket},
	{"PUBLISH topic longer than the packet", V311, "30 0003 6161", MalformedPacket},
	{"PUBLISH 3.1.1 [MQTT-4.7.3-1] empty topic", V311, "30 0000", ProtocolError},
	{"PUBLISH empty topic and no alias", V5, "30 0000 00", ProtocolError},
	{"PUBLISH v5 [MQTT-3.3.2-8] alias 0", V5, "30 0001 61 03 230000", TopicAliasInvalid},
	{"PUBLISH no property length", V5, "30 0001 61", MalformedPacket},
	{"PUBLISH properties longer than the packet", V5, "30 0001 61 06 0200000001", MalformedPacket},
	{"PUBLISH property across the end of the properties", V5, "30 0001 61 03 0200000001", MalformedPacket},
	{"PUBLISH payload format 2", V5, "30 0001 61 02 0102", ProtocolError},
	{"PUBLISH subscription identifier 0", V5, "30 0001 61 02 0B00", ProtocolError},
	{"PUBLISH subscription identifier of 5 bytes", V5, "30 0001 61 06 0BFFFFFFFF01", MalformedPacket},
	{"PUBLISH v5 [MQTT-1.5.5-1] subscription identifier not the shortest", V5, "30 0001 61 03 0B8100", MalformedPacket},
	{"PUBLISH v5 [MQTT-1.5.5-1] property length not the shortest", V5, "30 0001 61 8000", MalformedPacket},
	{"PUBLISH v5 [MQTT-3.3.2-13] response topic not UTF-8", V5, "30 0001 61 04 08 0001 FF", MalformedPacket},
	{"PUBLISH v5 [MQTT-3.3.2-19] content type not UTF-8", V5, "30 0001 61 04 03 0001 00", MalformedPacket},
	{"PUBLISH v5 [MQTT-1.5.7-1] key of a user property not UTF-8", V5, "30 0001 61 06 26 0001 FF 0000", MalformedPacket},
	{"PUBLISH v5 [MQTT-1.5.7-1] value of a user property not UTF-8", V5, "30 0001 61 06 26 0000 0001 00", MalformedPacket},
	{"PUBLISH user property without a value", V5, "30 0001 61 04 26 0001 6B", MalformedPacket},
	{"PUBLISH unknown property", V5, "30 0001 61 02 7F00", MalformedPacket},
	{"PUBLISH unknown property in the gap of the table", V5, "30 0001 61 02 0400", MalformedPacket},
	{"PUBLISH property 0", V5, "30 0001 61 02 0000", MalformedPacket},
	{"PUBLISH property of two bytes", V5, "30 0001 61 03 810101", MalformedPacket},

	{"PUBACK packet id 0", V311, "40 0000", ProtocolError},
	{"PUBREC packet id 0", V5, "50 0000", ProtocolError},
	{"PUBREL 3.1.1 [MQTT-3.6.1-1] flags 0", V311, "60 0001", MalformedPacket},
	{"PUBREL v5 [MQTT-3.6.1-1] flags 0", V5, "60 0001", MalformedPacket},
	{"PUBACK with a reason", V311, "40 0001 00", MalformedPacket},
	{"PUBCOMP cut off", V311, "70 00", MalformedPacket},
	{"PUBACK v5 [MQTT-3.4.2-1] reason of another packet", V5, "40 0001 92", ProtocolError},
	{"PUBREC v5 [MQTT-3.5.2-1] reason of another packet", V5, "50 0001 01", ProtocolError},
	{"PUBREL v5 [MQTT-3.6.2-1] reason of another packet", V5, "62 0001 97", ProtocolError},
	{"PUBCOMP v5 [MQTT-3.7.2-1] reason of another packet", V5, "70 0001 80", ProtocolError},
	{"PUBACK bytes after the properties", V5, "40 0001 00 00 00", MalformedPacket},
	{"PUBACK server reference", V5, "40 0001 00 03 1C 0000", MalformedPacket},

	{"SUBSCRIBE 3.1.1 [MQTT-3.8.1-1] flags 0", V311, "80 0001 0001 61 00", MalformedPacket},
	{"SUBSCRIBE 3.1.1 [MQTT-2.3.1-1] packet id 0", V311, "82 0000 0001 61 00", ProtocolError},
	{"SUBSCRIBE v5 [MQTT-2.2.1-3] packet id 0", V5, "82 0000 00 0001 61 00", ProtocolError},
	{"SUBSCRIBE 3.1.1 [MQTT-3.8.3-3] no filter", V311, "82 0001", ProtocolError},
	{"SUBSCRIBE v5 [MQTT-3.8.3-2] no filter", V5, "82 0001 00", ProtocolError},
	{"SUBSCRIBE v5 [MQTT-3.8.3-1] filter not UTF-8", V5, "82 0001 00 0001 FF 00", MalformedPacket},
	{"SUBSCRIBE filter without options", V311, "82 0001 0001 61", MalformedPacket},
	{"SUBSCRIBE second filter cut off", V5, "82 0001 00 0001 61 00 0002 61", MalformedPacket},
	{"SUBSCRIBE 3.1.1 [MQTT-3.8.3-4] qos 3", V311, "82 0001 0001 61 03", MalformedPacket},
	{"SUBSCRIBE 3.1.1 [MQTT-3.8.3-4] option of 5.0", V311, "82 0001 0001 61 04", MalformedPacket},
	{"SUBSCRIBE 3.1.1 [MQTT-3.8.3-4] reserved bits", V311, "82 0001 0001 61 80", MalformedPacket},
	{"SUBSCRIBE qos 3", V5, "82 0001 00 0001 61 03", ProtocolError},
	{"SUBSCRIBE retain handling 3", V5, "82 0001 00 0001 61 30", ProtocolError},
	{"SUBSCRIBE v5 [MQTT-3.8.3-5] reserved bit 6", V5, "82 0001 00 0001 61 40", MalformedPacket},
	{"SUBSCRIBE v5 [MQTT-3.8.3-5] reserved bit 7", V5, "82 0001 00 0001 61 80", MalformedPacket},
	{"SUBSCRIBE v5 [MQTT-3.8.3-5] reserved bits go before qos 3", V5, "82 0001 00 0001 61 C3", MalformedPacket},
	{"SUBSCRIBE v5 [MQTT-3.8.3-4] no local on a shared subscription", V5, "82 0001 00 000A 2473686172652F672F61 04", ProtocolError},
	{"SUBSCRIBE subscription identifier 0", V5, "82 0001 02 0B00 0001 61 00", ProtocolError},
	{"SUBSCRIBE two subscription identifiers", V5, "82 0001 04 0B01 0B01 0001 61 00", ProtocolError},

	{"SUBACK 3.1.1 [MQTT-3.9.3-2] code 3", V311, "90 0001 03", ProtocolError},
	{"SUBACK 3.1.1 [MQTT-3.9.3-2] code of 5.0", V311, "90 0001 87", ProtocolError},
	{"SUBACK v5 [MQTT-3.9.3-2] reason of another packet", V5, "90 0001 00 11", ProtocolError},
	{"SUBACK no code", V311, "90 0001", ProtocolError},
	{"SUBACK packet id 0", V5, "90 0000 00 00", ProtocolError},

	{"UNSUBSCRIBE v5 [MQTT-3.10.1-1] flags 0", V5, "A0 0001 00 0001 61", MalformedPacket},
	{"UNSUBSCRIBE 3.1.1 [MQTT-3.10.3-2] no filter", V311, "A2 0001", ProtocolError},
	{"UNSUBSCRIBE v5 [MQTT-3.10.3-2] no filter", V5, "A2 0001 00", ProtocolError},
	{"UNSUBSCRIBE 3.1.1 [MQTT-3.10.3-1] filter not UTF-8", V311, "A2 0001 0001 FF", MalformedPacket},
	{"UNSUBSCRIBE v5 [MQTT-2.2.1-3] packet id 0", V5, "A2 0000 00 0001 61", ProtocolError},
	{"UNSUBSCRIBE subscription identifier", V5, "A2 0001 02 0B01 0001 61", MalformedPacket},
	{"UNSUBACK with a payload", V311, "B0 0001 00", MalformedPacket},
	{"UNSUBACK v5 [MQTT-3.11.3-2] reason of another packet", V5, "B0 0001 00 01", ProtocolError},
	{"UNSUBACK no reason", V5, "B0 0001 00", ProtocolError},

	{"PINGREQ with a body", V311, "C0 00", MalformedPacket},
	{"PINGRESP with a body", V5, "D0 00", MalformedPacket},
	{"DISCONNECT with a reason", V311, "E0 00", MalformedPacket},
	{"DISCONNECT v5 [MQTT-3.14.1-1] flags", V5, "E1", MalformedPacket},
	{"DISCONNECT v5 [MQTT-3.14.2-1] reason of another packet", V5, "E0 86", ProtocolError},
	{"DISCONNECT bytes after the properties", V5, "E0 00 00 00", MalformedPacket},
	{"AUTH not in 3.1.1", V311, "F0", ProtocolError},
	{"AUTH v5 [MQTT-3.15.1-1] flags", V5, "F8 00 00", MalformedPacket},
	{"AUTH v5 [MQTT-3.15.2-1] reason of another packet", V5, "F0 87 04 15 0001 6D", ProtocolError},
	{"AUTH without a method", V5, "F0 18 00", ProtocolError},
	{"AUTH reason without a property length", V5, "F0 00", MalformedPacket},
	{"type 0", V311, "00", MalformedPacket},
}

func TestInvalid(t *testing.T) { testInvalid(t, invalidPackets) }

// TestConnectVersionOfARefusal: the level tells in which form to answer.
func TestConnectVersionOfARefusal(t *testing.T) {
	for digits, want := range map[string]Version{
		"10 0006 4D5149736470 03 02 003C 0001 61": 3,
		"10 0004 4D515454 06 02 003C 00 0001 61":  6,
		"10 0004 4D515454":                        0,
		"10 0004 4D515454 05 03 003C 00 0001 61":  V5,
		"10 0004 4D515454 04 02 003C 0001 61 00":  V311,
	} {
		f, _, err := Next(wire(t, digits), 0)
		if err != nil {
			t.Fatal(err)
		}
		p := Connect{Version: V5}
		if err := p.Decode(f, 0); err == nil || p.Version != want {
			t.Errorf("%s: version %s, %v, want %s and an error", digits, p.Version, err, want)
		}
	}
}

// TestErrorsSay holds one error to its wording: where, what was seen, what was wanted, and nothing of the password.
func TestErrorsSay(t *testing.T) {
	f, _, _ := Next(wire(t, "10 0004 4D515454 04 C2 003C 0001 61 0001 75 0009 736563726574"), 0)
	err := new(Connect).Decode(f, 0)
	if err == nil || err.Error() != "malformed packet: CONNECT: password: 6 bytes left, want 9" {
		t.Errorf("got %v", err)
	}
}
