package packet

import (
	"bytes"
	"strings"
	"testing"
)

// unwritable packets: Append refuses what Decode would.
func TestAppendRefuses(t *testing.T) {
	long, bad := bytes.Repeat([]byte("x"), 65536), []byte{0xFF}
	a := []byte("a")
	with := func(set func(*Properties)) Publish { return Publish{Topic: a, Props: props(set)} }
	publish := func(p Publish) codec { return &p }
	for _, c := range []struct {
		name   string
		p      codec
		v      Version // 0: both
		reason Reason
	}{
		{"CONNECT client id not UTF-8", &Connect{ClientID: bad}, 0, MalformedPacket},
		{"CONNECT user name too long", &Connect{HasUsername: true, Username: long}, 0, MalformedPacket},
		{"CONNECT password too long", &Connect{HasUsername: true, HasPassword: true, Password: long}, 0, MalformedPacket},
		{"CONNECT 3.1.1 [MQTT-3.1.2-22] password without a user name", &Connect{HasPassword: true}, V311, MalformedPacket},
		{"CONNECT will qos 3", &Connect{HasWill: true, Will: Will{QoS: 3, Topic: a}}, 0, MalformedPacket},
		{"CONNECT will payload too long", &Connect{HasWill: true, Will: Will{Topic: a, Payload: long}}, 0, MalformedPacket},
		{"CONNECT will topic not UTF-8", &Connect{HasWill: true, Will: Will{Topic: bad}}, 0, MalformedPacket},
		{"CONNECT will with a topic alias", &Connect{HasWill: true, Will: Will{Topic: a, Props: props(func(p *Properties) { p.SetTopicAlias(1) })}}, V5, MalformedPacket},
		{"CONNECT authentication data alone", &Connect{Props: props(func(p *Properties) { p.SetAuthData(a) })}, V5, ProtocolError},
		{"CONNACK session present and refused", &Connack{SessionPresent: true, Reason: NotAuthorized}, 0, ProtocolError},
		{"CONNACK 3.1.1 [MQTT-3.2.2-6] no return code fits", &Connack{Reason: MalformedPacket}, V311, MalformedPacket},
		{"CONNACK [MQTT-3.2.2-8] reason of another packet", &Connack{Reason: KeepAliveTimeout}, V5, ProtocolError},
		{"PUBLISH qos 3", publish(Publish{QoS: 3, ID: 1, Topic: a}), 0, MalformedPacket},
		{"PUBLISH qos 255", publish(Publish{QoS: 255, ID: 1, Topic: a}), 0, MalformedPacket},
		{"PUBLISH [MQTT-3.3.1-2] dup with qos 0", publish(Publish{Dup: true, Topic: a}), 0, MalformedPacket},
		{"PUBLISH [MQTT-2.2.1-4] id 0", publish(Publish{QoS: 1, Topic: a}), 0, ProtocolError},
		{"PUBLISH empty topic", publish(Publish{}), 0, ProtocolError},
		{"PUBLISH empty topic with an alias, which 3.1.1 has not", publish(Publish{Props: props(func(p *Properties) { p.SetTopicAlias(1) })}), V311, ProtocolError},
		{"PUBLISH topic too long", publish(Publish{Topic: long}), 0, MalformedPacket},
		{"PUBLISH topic not UTF-8", publish(Publish{Topic: bad}), 0, MalformedPacket},
		{"PUBLISH alias 0", publish(with(func(p *Properties) { p.SetTopicAlias(0) })), V5, TopicAliasInvalid},
		{"PUBLISH payload format 2", publish(with(func(p *Properties) { p.SetPayloadFormat(2) })), V5, ProtocolError},
		{"PUBLISH subscription identifier 0", publish(with(func(p *Properties) { p.SubscriptionIDs = []uint32{0} })), V5, ProtocolError},
		{"PUBLISH subscription identifier too large", publish(with(func(p *Properties) { p.SubscriptionIDs = []uint32{maxLength + 1} })), V5, ProtocolError},
		{"PUBLISH reason string", publish(with(func(p *Properties) { p.SetReasonString(a) })), V5, MalformedPacket},
		{"PUBLISH response topic too long", publish(with(func(p *Properties) { p.SetResponseTopic(long) })), V5, MalformedPacket},
		{"PUBLISH correlation data too long", publish(with(func(p *Properties) { p.SetCorrelationData(long) })), V5, MalformedPacket},
		{"PUBLISH content type not UTF-8", publish(with(func(p *Properties) { p.SetContentType(bad) })), V5, MalformedPacket},
		{"PUBLISH user property not UTF-8", publish(with(func(p *Properties) { p.AddUser(a, bad) })), V5, MalformedPacket},
		{"PUBACK id 0", &Ack{Type: TypePuback}, 0, ProtocolError},
		{"PUBREL reason of another packet", &Ack{Type: TypePubrel, ID: 1, Reason: NotAuthorized}, V5, ProtocolError},
		{"SUBSCRIBE no filter", &Subscribe{ID: 1}, 0, ProtocolError},
		{"SUBSCRIBE id 0", &Subscribe{Filters: []Subscription{{Filter: a}}}, 0, ProtocolError},
		{"SUBSCRIBE qos 3", &Subscribe{ID: 1, Filters: []Subscription{{Filter: a, QoS: 3}}}, V5, ProtocolError},
		{"SUBSCRIBE qos 3", &Subscribe{ID: 1, Filters: []Subscription{{Filter: a, QoS: 3}}}, V311, MalformedPacket},
		{"SUBSCRIBE no local in 3.1.1", &Subscribe{ID: 1, Filters: []Subscription{{Filter: a, NoLocal: true}}}, V311, MalformedPacket},
		{"SUBSCRIBE retain handling 3", &Subscribe{ID: 1, Filters: []Subscription{{Filter: a, RetainHandling: 3}}}, V5, ProtocolError},
		{"SUBSCRIBE no local and shared", &Subscribe{ID: 1, Filters: []Subscription{{Filter: []byte("$share/g/a"), NoLocal: true}}}, V5, ProtocolError},
		{"SUBSCRIBE two identifiers", &Subscribe{ID: 1, Filters: []Subscription{{Filter: a}}, Props: props(func(p *Properties) { p.SubscriptionIDs = []uint32{1, 2} })}, V5, ProtocolError},
		{"SUBACK no reason", &Suback{ID: 1}, 0, ProtocolError},
		{"SUBACK reason of another packet", &Suback{ID: 1, Reasons: []Reason{Banned}}, 0, ProtocolError},
		{"UNSUBSCRIBE no filter", &Unsubscribe{ID: 1}, 0, ProtocolError},
		{"UNSUBSCRIBE subscription identifier", &Unsubscribe{ID: 1, Filters: [][]byte{a}, Props: props(func(p *Properties) { p.SubscriptionIDs = []uint32{1} })}, V5, MalformedPacket},
		{"UNSUBACK no reason", &Unsuback{ID: 1}, V5, ProtocolError},
		{"DISCONNECT reason of another packet", &Disconnect{Reason: BadUserNameOrPassword}, V5, ProtocolError},
		{"AUTH in 3.1.1", &Auth{}, V311, ProtocolError},
		{"AUTH without a method", &Auth{Reason: ContinueAuthentication}, V5, ProtocolError},
		{"AUTH reason of another packet", &Auth{Reason: NotAuthorized, Props: props(func(p *Properties) { p.SetAuthMethod(a) })}, V5, ProtocolError},
	} {
		versions := []Version{V311, V5}
		if c.v != 0 {
			versions = []Version{c.v}
		}
		for _, v := range versions {
			t.Run(v.String()+" "+c.name, func(t *testing.T) {
				dst := make([]byte, 6, 8)
				out, err := c.p.Append(dst, v)
				wantReason(t, err, c.reason)
				if len(out) != len(dst) {
					t.Errorf("dst has %d bytes after the error, had %d", len(out), len(dst))
				}
			})
		}
	}
}

// TestTooLarge writes the largest packet there is up to its payload, and one that is a byte too large.
func TestTooLarge(t *testing.T) {
	payload := make([]byte, maxLength-3)
	p := Publish{Topic: []byte("a"), Payload: payload}
	head, err := p.AppendHead(nil, V311)
	if err != nil || string(head) != "\x30\xFF\xFF\xFF\x7F\x00\x01a" {
		t.Errorf("head % x, %v", head, err)
	}
	_, err = p.AppendHead(nil, V5) // the property length is one byte more
	wantReason(t, err, PacketTooLarge)

	var props Properties
	long := bytes.Repeat([]byte("x"), 65535)
	for range maxLength/len(long) + 1 {
		props.AddUser(long, nil)
	}
	_, err = (&Publish{Topic: []byte("a"), Props: props}).Append(nil, V5)
	wantReason(t, err, PacketTooLarge)
}

// 3.1.1 [MQTT-3.2.2-6]: which reasons have a return code, and that it means the same or something wider.
func TestReturnCodes(t *testing.T) {
	for r := range 256 {
		r := Reason(r)
		out, err := (&Connack{Reason: r}).Append(nil, V311)
		if _, ok := returnCode(r); ok != (err == nil) {
			t.Errorf("%s: %v", r, err)
		}
		if err != nil {
			continue
		}
		f, _, _ := Next(out, 0)
		var p Connack
		if err := p.Decode(f, V311); err != nil || p.Reason.Failed() != r.Failed() {
			t.Errorf("%s came back as %s, %v", r, p.Reason, err)
		}
		switch r {
		case Success, UnsupportedProtocolVersion, ClientIdentifierNotValid, ServerUnavailable, BadUserNameOrPassword, NotAuthorized:
			if p.Reason != r {
				t.Errorf("%s came back as %s", r, p.Reason)
			}
		}
	}
}

// What 3.1.1 cannot say is said as far as it can.
func TestOldVersionSaysWhatItCan(t *testing.T) {
	text := props(func(p *Properties) { p.SetReasonString([]byte("no")) })
	for _, c := range []struct {
		p    codec
		want string
	}{
		{&Ack{Type: TypePuback, ID: 1, Reason: QuotaExceeded, Props: text}, "40 02 0001"}, // [MQTT-3.3.5-2]
		{&Suback{ID: 1, Reasons: []Reason{GrantedQoS1, NotAuthorized}, Props: text}, "90 04 0001 01 80"},
		{&Unsuback{ID: 1, Reasons: []Reason{NoSubscriptionExisted}}, "B0 02 0001"},
		{&Disconnect{Reason: ServerShuttingDown, Props: text}, "E0 00"},
		{&Connack{Reason: ServerBusy, Props: text}, "20 02 00 03"},
		{&Connack{Reason: Banned}, "20 02 00 05"},
	} {
		if out, err := c.p.Append(nil, V311); err != nil || !bytes.Equal(out, raw(t, c.want)) {
			t.Errorf("%+v: % x, %v, want %s", c.p, out, err, c.want)
		}
	}
}

// TestReasonTable wants a name for every code, and counts the codes of each packet against the tables of the standard.
func TestReasonTable(t *testing.T) {
	count := map[Type]int{}
	for r, entry := range reasons {
		if (entry.name == "") != (entry.in == 0) || entry.name != strings.TrimSpace(entry.name) {
			t.Errorf("reason 0x%02x: name %q, packets %016b", r, entry.name, entry.in)
		}
		for typ := TypeConnect; typ <= TypeAuth; typ++ {
			if Reason(r).Fits(typ) {
				count[typ]++
			}
		}
	}
	for typ, want := range map[Type]int{TypeConnack: 22, TypePuback: 9, TypePubrec: 9, TypePubrel: 2, TypePubcomp: 2,
		TypeSuback: 12, TypeUnsuback: 7, TypeDisconnect: 29 + 1, TypeAuth: 3, TypePublish: 0, TypeConnect: 0} { // + 1: 0x8C, table 2-6
		if count[typ] != want {
			t.Errorf("%s has %d reasons, want %d", typ, count[typ], want)
		}
	}
	if Success.Fits(16) || Reason(0xFF).Fits(TypeConnack) {
		t.Error("reasons where there are none")
	}
}
