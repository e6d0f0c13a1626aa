package packet

import "testing"

// props builds properties in place.
func props(set func(p *Properties)) (p Properties) {
	set(&p)
	return p
}

func reasonText(p *Properties) { p.SetReasonString([]byte("no")) }

// The packets as the standard draws them, one row for each form a type has.
var validPackets = []valid{
	{"CONNECT least", V311, "10 0004 4D515454 04 02 003C 0001 61", &Connect{Version: V311, CleanStart: true, KeepAlive: 60, ClientID: []byte("a")}, ""},
	{"CONNECT least", V5, "10 0004 4D515454 05 02 003C 00 0001 61", &Connect{Version: V5, CleanStart: true, KeepAlive: 60, ClientID: []byte("a")}, ""},
	{"CONNECT empty client id, no clean session: for the server to refuse", V311, "10 0004 4D515454 04 00 0000 0000", &Connect{Version: V311}, ""},
	{"CONNECT will qos 2 retained, user name, password", V311, "10 0004 4D515454 04 F6 000A 0001 61 0001 74 0002 6869 0001 75 0002 0070",
		&Connect{Version: V311, CleanStart: true, KeepAlive: 10, ClientID: []byte("a"), HasWill: true,
			Will: Will{QoS: 2, Retain: true, Topic: []byte("t"), Payload: []byte("hi")}, HasUsername: true, HasPassword: true, Username: []byte("u"), Password: []byte{0, 'p'}}, ""},
	{"CONNECT empty user name and password are there all the same", V311, "10 0004 4D515454 04 C2 000A 0001 61 0000 0000",
		&Connect{Version: V311, CleanStart: true, KeepAlive: 10, ClientID: []byte("a"), HasUsername: true, HasPassword: true}, ""},
	{"CONNECT v5 [MQTT-3.1.2-19] password without a user name", V5, "10 0004 4D515454 05 40 0000 00 0000 0001 70",
		&Connect{Version: V5, HasPassword: true, Password: []byte("p")}, ""},
	{"CONNECT all properties, will with all of its own", V5, "10 0004 4D515454 05 0E FFFF 28 11FFFFFFFF 210001 2700000001 22000A 1901 1700 26 0001 6B 0001 76 15 0005 53435241 4D 16 0002 0102 0001 61" +
		"25 1800000005 0101 0200000E10 03 0001 63 08 0001 72 09 0001 FF 26 0001 6B 0000 26 0001 6B 0001 31 0001 74 0000",
		&Connect{Version: V5, CleanStart: true, KeepAlive: 65535, ClientID: []byte("a"), HasWill: true,
			Props: props(func(p *Properties) {
				p.SetSessionExpiry(0xFFFFFFFF)
				p.SetReceiveMaximum(1)
				p.SetMaximumPacketSize(1)
				p.SetTopicAliasMaximum(10)
				p.SetRequestResponseInfo(true)
				p.SetRequestProblemInfo(false)
				p.AddUser([]byte("k"), []byte("v"))
				p.SetAuthMethod([]byte("SCRAM"))
				p.SetAuthData([]byte{1, 2})
			}),
			Will: Will{QoS: 1, Topic: []byte("t"), Props: props(func(p *Properties) {
				p.SetWillDelay(5)
				p.SetPayloadFormat(1)
				p.SetMessageExpiry(3600)
				p.SetContentType([]byte("c"))
				p.SetResponseTopic([]byte("r"))
				p.SetCorrelationData([]byte{0xFF})
				p.AddUser([]byte("k"), nil)
				p.AddUser([]byte("k"), []byte("1"))
			})}},
		"10 0004 4D515454 05 0E FFFF 28 11FFFFFFFF 15 0005 53435241 4D 16 0002 0102 1700 1901 210001 22000A 2700000001 26 0001 6B 0001 76 0001 61" +
			"25 0101 0200000E10 03 0001 63 08 0001 72 09 0001 FF 1800000005 26 0001 6B 0000 26 0001 6B 0001 31 0001 74 0000"},

	{"CONNACK accepted", V311, "20 00 00", &Connack{}, ""},
	{"CONNACK session present", V311, "20 01 00", &Connack{SessionPresent: true}, ""},
	{"CONNACK return code 1", V311, "20 00 01", &Connack{Reason: UnsupportedProtocolVersion}, ""},
	{"CONNACK return code 2", V311, "20 00 02", &Connack{Reason: ClientIdentifierNotValid}, ""},
	{"CONNACK return code 3", V311, "20 00 03", &Connack{Reason: ServerUnavailable}, ""},
	{"CONNACK return code 4", V311, "20 00 04", &Connack{Reason: BadUserNameOrPassword}, ""},
	{"CONNACK return code 5", V311, "20 00 05", &Connack{Reason: NotAuthorized}, ""},
	{"CONNACK accepted", V5, "20 01 00 00", &Connack{SessionPresent: true}, ""},
	{"CONNACK refused with a text", V5, "20 00 87 05 1F 0002 6E6F", &Connack{Reason: NotAuthorized, Props: props(reasonText)}, ""},
	{"CONNACK all properties", V5, "20 00 00 4F 1100000001 12 0001 61 13000A 15 0001 6D 16 0001 64 1A 0001 72 1C 0001 73 1F 0002 6E6F 21FFFF 220000 2401 2500 2700000100 2800 2901 2A00 26 0001 6B 0001 76" +
		"26 0003 6B6579 000A 30313233343536373839",
		&Connack{Props: props(func(p *Properties) {
			p.SetSessionExpiry(1)
			p.SetAssignedClientID([]byte("a"))
			p.SetServerKeepAlive(10)
			p.SetAuthMethod([]byte("m"))
			p.SetAuthData([]byte("d"))
			p.SetResponseInfo([]byte("r"))
			p.SetServerReference([]byte("s"))
			reasonText(p)
			p.SetReceiveMaximum(65535)
			p.SetTopicAliasMaximum(0)
			p.SetMaximumQoS(1)
			p.SetRetainAvailable(false)
			p.SetMaximumPacketSize(256)
			p.SetWildcardAvailable(false)
			p.SetSubscriptionIDAvailable(true)
			p.SetSharedAvailable(false)
			p.AddUser([]byte("k"), []byte("v"))
			p.AddUser([]byte("key"), []byte("0123456789"))
		})}, ""},

	{"PUBLISH qos 0", V311, "30 0003 612F62 3735", &Publish{Topic: []byte("a/b"), Payload: []byte("75")}, ""},
	{"PUBLISH nothing in it", V311, "31 0001 61", &Publish{Retain: true, Topic: []byte("a")}, ""},
	{"PUBLISH qos 1", V311, "32 0003 612F62 000A", &Publish{QoS: 1, ID: 10, Topic: []byte("a/b")}, ""},
	{"PUBLISH qos 2 dup retain", V311, "3D 0001 61 FFFF 00", &Publish{Dup: true, QoS: 2, Retain: true, ID: 65535, Topic: []byte("a"), Payload: []byte{0}}, ""},
	{"PUBLISH v5 [MQTT-2.2.1-2] qos 0 has no id", V5, "30 0001 61 00 000A", &Publish{Topic: []byte("a"), Payload: []byte{0, 10}}, ""},
	{"PUBLISH topic by alias", V5, "30 0000 03 230007 78", &Publish{Payload: []byte("x"), Props: props(func(p *Properties) { p.SetTopicAlias(7) })}, ""},
	{"PUBLISH all properties, [MQTT-3.3.2-18] user properties in their order", V5,
		"34 0001 61 0001 2F 26 0001 62 0001 31 0B 01 0100 0200000000 230001 08 0001 72 09 0000 26 0001 61 0001 32 0B FFFFFF7F 03 0000 26 0001 62 0000",
		&Publish{QoS: 2, ID: 1, Topic: []byte("a"), Props: props(func(p *Properties) {
			p.SetPayloadFormat(0)
			p.SetMessageExpiry(0)
			p.SetTopicAlias(1)
			p.SetResponseTopic([]byte("r"))
			p.SetCorrelationData(nil)
			p.SetContentType(nil)
			p.SubscriptionIDs = []uint32{1, 268435455}
			p.AddUser([]byte("b"), []byte("1"))
			p.AddUser([]byte("a"), []byte("2"))
			p.AddUser([]byte("b"), nil)
		})},
		"34 0001 61 0001 2F 0100 0200000000 03 0000 08 0001 72 09 0000 230001 0B 01 0B FFFFFF7F 26 0001 62 0001 31 26 0001 61 0001 32 26 0001 62 0000"},

	{"PUBACK", V311, "40 000A", &Ack{Type: TypePuback, ID: 10}, ""},
	{"PUBREC", V311, "50 000A", &Ack{Type: TypePubrec, ID: 10}, ""},
	{"PUBREL", V311, "62 000A", &Ack{Type: TypePubrel, ID: 10}, ""},
	{"PUBCOMP", V311, "70 FFFF", &Ack{Type: TypePubcomp, ID: 65535}, ""},
	{"PUBACK shortest", V5, "40 000A", &Ack{Type: TypePuback, ID: 10}, ""},
	{"PUBACK reason written though it is success", V5, "40 000A 00", &Ack{Type: TypePuback, ID: 10}, "40 000A"},
	{"PUBACK all written though empty", V5, "40 000A 00 00", &Ack{Type: TypePuback, ID: 10}, "40 000A"},
	{"PUBACK reason only", V5, "40 000A 10", &Ack{Type: TypePuback, ID: 10, Reason: NoMatchingSubscribers}, ""},
	{"PUBREC refused with a text", V5, "50 000A 97 05 1F 0002 6E6F", &Ack{Type: TypePubrec, ID: 10, Reason: QuotaExceeded, Props: props(reasonText)}, ""},
	{"PUBREL not found", V5, "62 000A 92", &Ack{Type: TypePubrel, ID: 10, Reason: PacketIdentifierNotFound}, ""},
	{"PUBCOMP success with a user property", V5, "70 000A 00 07 26 0001 6B 0001 76",
		&Ack{Type: TypePubcomp, ID: 10, Props: props(func(p *Properties) { p.AddUser([]byte("k"), []byte("v")) })}, ""},

	{"SUBSCRIBE two filters", V311, "82 000A 0003 612F62 01 0001 23 02", &Subscribe{ID: 10, Filters: []Subscription{{Filter: []byte("a/b"), QoS: 1}, {Filter: []byte("#"), QoS: 2}}}, ""},
	{"SUBSCRIBE every option and an identifier", V5, "82 000A 03 0B 8002 0003 612F62 2D 0001 2B 10 0001 23 02",
		&Subscribe{ID: 10, Props: props(func(p *Properties) { p.SubscriptionIDs = []uint32{256} }), Filters: []Subscription{
			{Filter: []byte("a/b"), QoS: 1, NoLocal: true, RetainAsPublished: true, RetainHandling: 2}, {Filter: []byte("+"), RetainHandling: 1}, {Filter: []byte("#"), QoS: 2}}}, ""},
	{"SUBACK 3.1.1 [MQTT-3.9.3-2] every code", V311, "90 000A 00 01 02 80", &Suback{ID: 10, Reasons: []Reason{GrantedQoS0, GrantedQoS1, GrantedQoS2, UnspecifiedError}}, ""},
	{"SUBACK with a text", V5, "90 000A 05 1F 0002 6E6F 02 87 A2", &Suback{ID: 10, Props: props(reasonText), Reasons: []Reason{GrantedQoS2, NotAuthorized, WildcardSubscriptionsNotSupported}}, ""},

	{"UNSUBSCRIBE two filters", V311, "A2 000A 0003 612F62 0001 23", &Unsubscribe{ID: 10, Filters: [][]byte{[]byte("a/b"), []byte("#")}}, ""},
	{"UNSUBSCRIBE with a user property", V5, "A2 000A 07 26 0001 6B 0001 76 0001 61",
		&Unsubscribe{ID: 10, Props: props(func(p *Properties) { p.AddUser([]byte("k"), []byte("v")) }), Filters: [][]byte{[]byte("a")}}, ""},
	{"UNSUBACK", V311, "B0 000A", &Unsuback{ID: 10}, ""},
	{"UNSUBACK", V5, "B0 000A 00 00 11", &Unsuback{ID: 10, Reasons: []Reason{Success, NoSubscriptionExisted}}, ""},

	{"PINGREQ", V311, "C0", &Pingreq{}, ""},
	{"PINGREQ", V5, "C0", &Pingreq{}, ""},
	{"PINGRESP", V311, "D0", &Pingresp{}, ""},
	{"PINGRESP", V5, "D0", &Pingresp{}, ""},

	{"DISCONNECT", V311, "E0", &Disconnect{}, ""},
	{"DISCONNECT shortest", V5, "E0", &Disconnect{}, ""},
	{"DISCONNECT reason written though it is normal", V5, "E0 00", &Disconnect{}, "E0"},
	{"DISCONNECT all written though empty", V5, "E0 00 00", &Disconnect{}, "E0"},
	{"DISCONNECT reason only", V5, "E0 8B", &Disconnect{Reason: ServerShuttingDown}, ""},
	{"DISCONNECT with will", V5, "E0 04", &Disconnect{Reason: DisconnectWithWill}, ""},
	{"DISCONNECT all properties", V5, "E0 9D 14 1100000000 1C 0001 73 1F 0002 6E6F 26 0001 6B 0000",
		&Disconnect{Reason: ServerMoved, Props: props(func(p *Properties) {
			p.SetSessionExpiry(0)
			p.SetServerReference([]byte("s"))
			reasonText(p)
			p.AddUser([]byte("k"), nil)
		})}, ""},

	{"AUTH shortest", V5, "F0", &Auth{}, ""},
	{"AUTH all written though empty", V5, "F0 00 00", &Auth{}, "F0"},
	{"AUTH goes on", V5, "F0 18 08 15 0001 6D 16 0001 64",
		&Auth{Reason: ContinueAuthentication, Props: props(func(p *Properties) { p.SetAuthMethod([]byte("m")); p.SetAuthData([]byte("d")) })}, ""},
	{"AUTH success with its method", V5, "F0 00 04 15 0001 6D", &Auth{Props: props(func(p *Properties) { p.SetAuthMethod([]byte("m")) })}, ""},
}

func TestValid(t *testing.T) { testValid(t, validPackets) }

// TestEveryFormIsInTheTable wants a row for every type and version, and for every property in every place it may stand.
func TestEveryFormIsInTheTable(t *testing.T) {
	seen := map[Version]uint16{}
	place := map[Property]uint16{}
	for _, c := range validPackets {
		typ := Type(raw(t, c.hex)[0] >> 4)
		seen[c.v] |= 1 << typ
		note := func(in uint16, p *Properties) {
			for id := range properties {
				if p.Has(Property(id)) {
					place[Property(id)] |= in
				}
			}
		}
		if conn, ok := c.want.(*Connect); ok {
			note(inWill, &conn.Will.Props)
			note(inConnect, &conn.Props)
		} else if p := propertiesOf(c.want); p != nil {
			note(1<<typ, p)
		}
	}
	if seen[V311] != 0x7FFE || seen[V5] != 0xFFFE {
		t.Errorf("types in the table: 3.1.1 %016b, 5.0 %016b", seen[V311], seen[V5])
	}
	for id, rule := range properties {
		switch id := Property(id); id {
		case PropUser, PropReasonString: // all of their places: TestPropertyPlaces
		default:
			if place[id] != rule.in {
				t.Errorf("%s: in the table in %016b, allowed in %016b", id, place[id], rule.in)
			}
		}
	}
}

// propertiesOf finds the properties of a packet.
func propertiesOf(p codec) *Properties {
	switch p := p.(type) {
	case *Connect:
		return &p.Props
	case *Connack:
		return &p.Props
	case *Publish:
		return &p.Props
	case *Ack:
		return &p.Props
	case *Subscribe:
		return &p.Props
	case *Suback:
		return &p.Props
	case *Unsubscribe:
		return &p.Props
	case *Unsuback:
		return &p.Props
	case *Disconnect:
		return &p.Props
	case *Auth:
		return &p.Props
	}
	return nil
}
