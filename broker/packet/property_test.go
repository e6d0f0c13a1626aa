package packet

import "testing"

// value gives a property of any kind a value that is allowed, on the wire.
func value(id Property, rule *rule) []byte {
	b := []byte{byte(id)}
	switch rule.kind {
	case kindByte:
		return append(b, 1)
	case kindUint16:
		return append(b, 0, 1)
	case kindUint32:
		return append(b, 0, 0, 0, 1)
	case kindVarint:
		return append(b, 1)
	case kindPair:
		return append(b, 0, 1, 'k', 0, 0)
	}
	return append(b, 0, 1, 'x')
}

// packetWith makes a 5.0 packet of a type (0: a CONNECT with a will) whose property block is the bytes given.
func packetWith(place Type, block []byte) []byte {
	props := append([]byte{byte(len(block))}, block...)
	join := func(first byte, parts ...[]byte) []byte {
		var body []byte
		for _, p := range parts {
			body = append(body, p...)
		}
		return append(appendVarint([]byte{first}, len(body)), body...)
	}
	text := []byte{0, 1, 'a'}
	switch place {
	case 0:
		return join(0x10, protocolName[:], []byte{5, connectWill, 0, 0, 0}, text, props, text, text)
	case TypeConnect:
		return join(0x10, protocolName[:], []byte{5, 0, 0, 0}, props, text)
	case TypeConnack:
		return join(0x20, []byte{0, 0}, props)
	case TypePublish:
		return join(0x30, text, props)
	case TypePuback, TypePubrec, TypePubcomp:
		return join(byte(place)<<4, []byte{0, 1, 0}, props)
	case TypePubrel:
		return join(0x62, []byte{0, 1, 0}, props)
	case TypeSubscribe:
		return join(0x82, []byte{0, 1}, props, text, []byte{0})
	case TypeUnsubscribe:
		return join(0xA2, []byte{0, 1}, props, text)
	case TypeSuback, TypeUnsuback:
		return join(byte(place)<<4, []byte{0, 1}, props, []byte{0})
	case TypeDisconnect, TypeAuth:
		return join(byte(place)<<4, []byte{0}, props)
	}
	panic("no properties there")
}

var propertyPlaces = []Type{0, TypeConnect, TypeConnack, TypePublish, TypePuback, TypePubrec, TypePubrel, TypePubcomp,
	TypeSubscribe, TypeSuback, TypeUnsubscribe, TypeUnsuback, TypeDisconnect, TypeAuth}

// decodeWith decodes packetWith.
func decodeWith(t *testing.T, place Type, block []byte) (codec, error) {
	t.Helper()
	f, n, err := Next(packetWith(place, block), 0)
	if err != nil || n == 0 {
		t.Fatalf("place %d: %d bytes, %v", place, n, err)
	}
	p := blank(f.Type)
	return p, p.Decode(f, V5)
}

// allowed is table 2-4 of MQTT 5.0 a second time, as the standard prints it: a line for each property. W is the will.
var allowed = map[Property]string{
	0x01: "PUBLISH W",
	0x02: "PUBLISH W",
	0x03: "PUBLISH W",
	0x08: "PUBLISH W",
	0x09: "PUBLISH W",
	0x0B: "PUBLISH SUBSCRIBE",
	0x11: "CONNECT CONNACK DISCONNECT",
	0x12: "CONNACK",
	0x13: "CONNACK",
	0x15: "CONNECT CONNACK AUTH",
	0x16: "CONNECT CONNACK AUTH",
	0x17: "CONNECT",
	0x18: "W",
	0x19: "CONNECT",
	0x1A: "CONNACK",
	0x1C: "CONNACK DISCONNECT",
	0x1F: "CONNACK PUBACK PUBREC PUBREL PUBCOMP SUBACK UNSUBACK DISCONNECT AUTH",
	0x21: "CONNECT CONNACK",
	0x22: "CONNECT CONNACK",
	0x23: "PUBLISH",
	0x24: "CONNACK",
	0x25: "CONNACK",
	0x26: "CONNECT CONNACK PUBLISH W PUBACK PUBREC PUBREL PUBCOMP SUBSCRIBE SUBACK UNSUBSCRIBE UNSUBACK DISCONNECT AUTH",
	0x27: "CONNECT CONNACK",
	0x28: "CONNACK",
	0x29: "CONNACK",
	0x2A: "CONNACK",
}

// TestPropertyPlaces tries every property in every place, alone and twice.
func TestPropertyPlaces(t *testing.T) {
	for id := range Property(128) {
		known := int(id) < len(properties) && properties[id].kind != 0
		if _, listed := allowed[id]; listed != known {
			t.Errorf("%s: known %t, listed %t", id, known, listed)
		}
		for _, place := range propertyPlaces {
			name := place.String()
			if place == 0 {
				name = "W"
			}
			rule := &rule{kind: kindByte}
			if known {
				rule = &properties[id]
			}
			once := value(id, rule)
			var method []byte // authentication data needs it; AUTH does always
			if id != PropAuthMethod && (id == PropAuthData || place == TypeAuth) && contains(allowed[PropAuthMethod], name) {
				method = value(PropAuthMethod, &properties[PropAuthMethod])
			}
			p, err := decodeWith(t, place, append(method, once...))
			if !contains(allowed[id], name) {
				wantReason(t, err, MalformedPacket)
				continue
			}
			if err != nil {
				t.Errorf("%s in %s: %v", id, name, err)
				continue
			}
			if held := held(p, place); !held.Has(id) || held.Empty() {
				t.Errorf("%s in %s: Has says no", id, name)
			}
			_, err = decodeWith(t, place, append(append(method, once...), once...))
			if id == PropUser || id == PropSubscriptionID && place == TypePublish {
				if err != nil {
					t.Errorf("%s twice in %s: %v", id, name, err)
				}
			} else {
				wantReason(t, err, ProtocolError)
			}
		}
	}
}

func contains(list, word string) bool {
	for len(list) > 0 {
		n := 0
		for n < len(list) && list[n] != ' ' {
			n++
		}
		if list[:n] == word {
			return true
		}
		list = list[min(n+1, len(list)):]
	}
	return false
}

// held gives the properties of a place.
func held(p codec, place Type) *Properties {
	if place == 0 {
		return &p.(*Connect).Will.Props
	}
	return propertiesOf(p)
}

// TestPropertyRanges tries the edges of every number with limits, both ways.
func TestPropertyRanges(t *testing.T) {
	for id := range properties {
		id, rule := Property(id), &properties[id]
		if rule.max == 0 {
			continue
		}
		place := propertyPlaces[0]
		for _, place = range propertyPlaces {
			if rule.in&(1<<place) != 0 {
				break
			}
		}
		for _, v := range []uint64{0, 1, 2, 255, 65535, maxLength, 1<<32 - 1} {
			block := []byte{byte(id)}
			switch {
			case rule.kind == kindByte && v <= 255:
				block = append(block, byte(v))
			case rule.kind == kindUint16 && v <= 65535:
				block = appendUint16(block, uint16(v))
			case rule.kind == kindUint32:
				block = appendUint32(block, uint32(v))
			case rule.kind == kindVarint && v <= maxLength:
				block = appendVarint(block, int(v))
			default:
				continue
			}
			_, err := decodeWith(t, place, block)
			switch {
			case v >= uint64(rule.min) && v <= uint64(rule.max):
				if err != nil {
					t.Errorf("%s %d: %v", id, v, err)
				}
			case id == PropTopicAlias:
				wantReason(t, err, TopicAliasInvalid)
			default:
				wantReason(t, err, ProtocolError)
			}
		}
	}
}

// TestPropertyFields sets every property through its setter, and finds it again under its identifier, and only that one.
func TestPropertyFields(t *testing.T) {
	text := []byte("x")
	set := map[Property]func(*Properties){
		PropPayloadFormat:           func(p *Properties) { p.SetPayloadFormat(1) },
		PropMessageExpiry:           func(p *Properties) { p.SetMessageExpiry(1) },
		PropContentType:             func(p *Properties) { p.SetContentType(text) },
		PropResponseTopic:           func(p *Properties) { p.SetResponseTopic(text) },
		PropCorrelationData:         func(p *Properties) { p.SetCorrelationData(text) },
		PropSubscriptionID:          func(p *Properties) { p.SubscriptionIDs = append(p.SubscriptionIDs, 1) },
		PropSessionExpiry:           func(p *Properties) { p.SetSessionExpiry(1) },
		PropAssignedClientID:        func(p *Properties) { p.SetAssignedClientID(text) },
		PropServerKeepAlive:         func(p *Properties) { p.SetServerKeepAlive(1) },
		PropAuthMethod:              func(p *Properties) { p.SetAuthMethod(text) },
		PropAuthData:                func(p *Properties) { p.SetAuthData(text) },
		PropRequestProblemInfo:      func(p *Properties) { p.SetRequestProblemInfo(true) },
		PropWillDelay:               func(p *Properties) { p.SetWillDelay(1) },
		PropRequestResponseInfo:     func(p *Properties) { p.SetRequestResponseInfo(true) },
		PropResponseInfo:            func(p *Properties) { p.SetResponseInfo(text) },
		PropServerReference:         func(p *Properties) { p.SetServerReference(text) },
		PropReasonString:            func(p *Properties) { p.SetReasonString(text) },
		PropReceiveMaximum:          func(p *Properties) { p.SetReceiveMaximum(1) },
		PropTopicAliasMaximum:       func(p *Properties) { p.SetTopicAliasMaximum(1) },
		PropTopicAlias:              func(p *Properties) { p.SetTopicAlias(1) },
		PropMaximumQoS:              func(p *Properties) { p.SetMaximumQoS(1) },
		PropRetainAvailable:         func(p *Properties) { p.SetRetainAvailable(true) },
		PropUser:                    func(p *Properties) { p.AddUser([]byte("k"), nil) },
		PropMaximumPacketSize:       func(p *Properties) { p.SetMaximumPacketSize(1) },
		PropWildcardAvailable:       func(p *Properties) { p.SetWildcardAvailable(true) },
		PropSubscriptionIDAvailable: func(p *Properties) { p.SetSubscriptionIDAvailable(true) },
		PropSharedAvailable:         func(p *Properties) { p.SetSharedAvailable(true) },
	}
	for id := range properties {
		id, rule := Property(id), &properties[id]
		if rule.kind == 0 {
			continue
		}
		var p Properties
		set[id](&p)
		for other := range properties {
			if got := p.Has(Property(other)); got != (Property(other) == id) {
				t.Errorf("after setting %s, Has(%s) is %t", id, Property(other), got)
			}
		}
		if id != PropAuthData {
			s := sizer{v: V5}
			block := s.props(&p, rule.in&-rule.in)
			if got, want := p.append(nil, block), value(id, rule); s.err != nil || string(got[1:]) != string(want) {
				t.Errorf("%s: written % x, %v, want % x", id, got, s.err, want)
			}
		}
		q := p
		if p.Unset(id); !p.Empty() || p.Has(id) || p.number(id) != 0 {
			t.Errorf("%s is there after Unset", id)
		}
		if !q.Has(id) {
			t.Errorf("%s is gone from a copy", id)
		}
		if q.Reset(); !q.Empty() || q.number(id) != 0 {
			t.Errorf("%s is there after Reset", id)
		}
	}
}
