package client

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"weir/broker/packet"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

type appender interface {
	Append(dst []byte, v packet.Version) ([]byte, error)
}

// wire is the bytes of packets, one after the other.
func wire(t testing.TB, v packet.Version, packets ...appender) []byte {
	t.Helper()
	var b []byte
	for _, p := range packets {
		var err error
		if b, err = p.Append(b, v); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// upCore is a core that has been greeted.
func upCore(t testing.TB, o Options, ack packet.Connack) *core {
	t.Helper()
	o.URL = "mqtt://x"
	full, _, err := o.complete()
	if err != nil {
		t.Fatal(err)
	}
	c := newCore(&full)
	if err := c.start(epoch); err != nil {
		t.Fatal(err)
	}
	c.take(nil, nil)
	c.wrote(epoch, 0)
	if _, err := c.receive(wire(t, full.Version, &ack), epoch); err != nil {
		t.Fatal(err)
	}
	return c
}

// written are the packets the core wants to write, in words.
func written(t testing.TB, c *core) (words []string) {
	t.Helper()
	b, _ := c.take(nil, nil)
	for len(b) > 0 {
		f, n, err := packet.Next(b, 0)
		if err != nil || n == 0 {
			t.Fatalf("unreadable: % x, %v", b, err)
		}
		b = b[n:]
		words = append(words, word(t, f, c.o.Version))
	}
	return words
}

func word(t testing.TB, f packet.Frame, v packet.Version) string {
	t.Helper()
	var a packet.Ack
	switch f.Type {
	case packet.TypePuback, packet.TypePubrec, packet.TypePubrel, packet.TypePubcomp:
		if err := a.Decode(f, v); err != nil {
			t.Fatal(err)
		}
		if a.Reason != 0 {
			return fmt.Sprintf("%s %d %s", f.Type, a.ID, a.Reason)
		}
		return fmt.Sprintf("%s %d", f.Type, a.ID)
	case packet.TypePublish:
		var p packet.Publish
		if err := p.Decode(f, v); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("PUBLISH %d %s", p.ID, p.Topic)
	}
	return f.Type.String()
}

func want(t testing.TB, got any, words ...string) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(words) {
		t.Fatalf("got %v, want %v", got, words)
	}
}

var versions = []packet.Version{packet.V311, packet.V5}

func TestCorePublishes(t *testing.T) {
	for _, v := range versions {
		c := upCore(t, Options{Version: v, Window: 3}, packet.Connack{})
		for i, q := range []byte{0, 1, 2, 1} {
			if err := c.publish(&packet.Publish{Topic: []byte("t"), QoS: q}, uint64(i)); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.publish(&packet.Publish{Topic: []byte("t"), QoS: 1}, 9); err != ErrWindow {
			t.Fatalf("beyond the window: %v", err)
		}
		if len(c.zeros) != 1 || c.zeros[0] != 0 {
			t.Fatalf("QoS 0 on its way: %v", c.zeros)
		}
		want(t, written(t, c), "PUBLISH 0 t", "PUBLISH 1 t", "PUBLISH 2 t", "PUBLISH 3 t")
		in := wire(t, v, &packet.Ack{Type: packet.TypePubrec, ID: 2}, &packet.Ack{Type: packet.TypePuback, ID: 3}, &packet.Ack{Type: packet.TypePuback, ID: 1})
		if n, err := c.receive(in, epoch); err != nil || n != len(in) {
			t.Fatalf("used %d of %d, %v", n, len(in), err)
		}
		want(t, written(t, c), "PUBREL 2")
		if got := fmt.Sprint(c.acks); got != "[{3 3 1 success false} {1 1 1 success false}]" {
			t.Fatalf("ended: %s", got)
		}
		if _, err := c.receive(wire(t, v, &packet.Ack{Type: packet.TypePubcomp, ID: 2}), epoch); err != nil {
			t.Fatal(err)
		}
		if got := c.acks[2]; got != (Ack{Ref: 2, ID: 2, QoS: 2}) {
			t.Fatalf("ended: %v", got)
		}
	}
}

// A message that cannot be sent leaves nothing behind: no bytes, no identifier.
func TestCoreRefusesToSend(t *testing.T) {
	ack := packet.Connack{}
	ack.Props.SetMaximumPacketSize(20)
	ack.Props.SetMaximumQoS(1)
	ack.Props.SetRetainAvailable(false)
	c := upCore(t, Options{Window: 1}, ack)
	for _, test := range []struct {
		p    packet.Publish
		want packet.Reason
	}{
		{packet.Publish{Topic: []byte("t"), QoS: 1, Payload: make([]byte, 30)}, packet.PacketTooLarge},
		{packet.Publish{Topic: []byte("t"), QoS: 2}, packet.QoSNotSupported},
		{packet.Publish{Topic: []byte("t"), Retain: true}, packet.RetainNotSupported},
		{packet.Publish{Topic: []byte("t/#"), QoS: 1}, packet.TopicNameInvalid},
		{packet.Publish{QoS: 1}, packet.TopicNameInvalid},
	} {
		var e *packet.Error
		if err := c.publish(&test.p, 1); !errors.As(err, &e) || e.Reason != test.want {
			t.Errorf("%+v: %v, want %s", test.p, err, test.want)
		}
	}
	if len(c.out) > 0 || c.outbound.InFlight() != 0 {
		t.Fatalf("%d bytes, %d in flight left behind", len(c.out), c.outbound.InFlight())
	}
	if err := c.publish(&packet.Publish{Topic: []byte("t"), QoS: 1}, 1); err != nil {
		t.Error(err)
	}
}

// Messages come once, their acknowledgements go out in their order. [MQTT-4.6.0-2]
func TestCoreReceives(t *testing.T) {
	for _, v := range versions {
		c := upCore(t, Options{Version: v}, packet.Connack{})
		in := wire(t, v,
			&packet.Publish{Topic: []byte("a"), QoS: 1, ID: 7}, &packet.Publish{Topic: []byte("b")}, &packet.Publish{Topic: []byte("c")},
			&packet.Publish{Topic: []byte("d"), QoS: 2, ID: 8}, &packet.Publish{Topic: []byte("d"), QoS: 2, ID: 8, Dup: true})
		if _, err := c.receive(in, epoch); err != nil {
			t.Fatal(err)
		}
		if len(c.messages) != 4 {
			t.Fatalf("%d messages, want 4", len(c.messages))
		}
		for _, n := range []int{1, 1, 2} {
			if err := c.acknowledge(n, packet.Success); err != nil {
				t.Fatal(err)
			}
		}
		want(t, written(t, c), "PUBACK 7", "PUBREC 8")
		in = wire(t, v, &packet.Publish{Topic: []byte("d"), QoS: 2, ID: 8, Dup: true}, &packet.Ack{Type: packet.TypePubrel, ID: 8}, &packet.Ack{Type: packet.TypePubrel, ID: 8})
		if _, err := c.receive(in, epoch); err != nil {
			t.Fatal(err)
		}
		second := "PUBCOMP 8 packet identifier not found"
		if v == packet.V311 {
			second = "PUBCOMP 8"
		}
		want(t, written(t, c), "PUBREC 8", "PUBCOMP 8", second)
	}
}

func TestCoreRefusesMessages(t *testing.T) {
	c := upCore(t, Options{ReceiveMaximum: 2}, packet.Connack{})
	in := wire(t, packet.V5, &packet.Publish{Topic: []byte("a"), QoS: 1, ID: 1}, &packet.Publish{Topic: []byte("a"), QoS: 2, ID: 2})
	if _, err := c.receive(in, epoch); err != nil {
		t.Fatal(err)
	}
	if err := c.acknowledge(2, packet.QuotaExceeded); err != nil {
		t.Fatal(err)
	}
	want(t, written(t, c), "PUBACK 1 quota exceeded", "PUBREC 2 quota exceeded")
	if _, err := c.receive(in, epoch); err != nil { // the ids are free again
		t.Fatal(err)
	}
}

// Everything a server must not do ends the connection with the reason.
func TestCoreBreaches(t *testing.T) {
	alias := packet.Publish{Topic: []byte("t")}
	alias.Props.SetTopicAlias(1)
	for _, test := range []struct {
		name   string
		v      packet.Version
		in     []byte
		reason packet.Reason
	}{
		{"a client's packet", packet.V5, wire(t, packet.V5, &packet.Pingreq{}), packet.ProtocolError},
		{"CONNACK again", packet.V5, wire(t, packet.V5, &packet.Connack{}), packet.ProtocolError},
		{"topic alias", packet.V5, wire(t, packet.V5, &alias), packet.TopicAliasInvalid},
		{"wildcard in a name", packet.V311, []byte{0x30, 3, 0, 1, '#'}, packet.TopicNameInvalid},
		{"too many messages", packet.V5, wire(t, packet.V5, &packet.Publish{Topic: []byte("t"), QoS: 1, ID: 1}, &packet.Publish{Topic: []byte("t"), QoS: 1, ID: 2}, &packet.Publish{Topic: []byte("t"), QoS: 1, ID: 3}), packet.ReceiveMaximumExceeded},
		{"too large", packet.V5, []byte{0x30, 0xFF, 0x7F}, packet.PacketTooLarge},
		{"SUBACK nobody waits for", packet.V5, wire(t, packet.V5, &packet.Suback{ID: 5, Reasons: []packet.Reason{0}}), packet.ProtocolError},
		{"PUBCOMP at QoS 1", packet.V5, wire(t, packet.V5, &packet.Ack{Type: packet.TypePubcomp, ID: 1}), packet.ProtocolError},
		{"DISCONNECT in 3.1.1", packet.V311, []byte{0xE0, 0}, packet.ProtocolError},
		{"reserved flags", packet.V5, []byte{0x41, 2, 0, 1}, packet.MalformedPacket},
	} {
		c := upCore(t, Options{Version: test.v, ReceiveMaximum: 2, MaxPacket: 1000}, packet.Connack{})
		if err := c.publish(&packet.Publish{Topic: []byte("t"), QoS: 1}, 1); err != nil {
			t.Fatal(err)
		}
		_, err := c.receive(test.in, epoch)
		var e *packet.Error
		if !errors.As(err, &e) || e.Reason != test.reason {
			t.Errorf("%s: %v, want %s", test.name, err, test.reason)
		}
	}
}

func TestCoreGreeting(t *testing.T) {
	fresh := func(v packet.Version) *core {
		o, _, err := Options{URL: "mqtt://x", Version: v}.complete()
		if err != nil {
			t.Fatal(err)
		}
		return newCore(&o)
	}
	for _, test := range []struct {
		name   string
		v      packet.Version
		in     []byte
		kind   Kind
		reason packet.Reason
	}{
		{"3.1.1 code 1", packet.V311, []byte{0x20, 2, 0, 1}, Rejected, packet.UnsupportedProtocolVersion},
		{"3.1.1 code 2", packet.V311, []byte{0x20, 2, 0, 2}, Rejected, packet.ClientIdentifierNotValid},
		{"3.1.1 code 3", packet.V311, []byte{0x20, 2, 0, 3}, Rejected, packet.ServerUnavailable},
		{"3.1.1 code 4", packet.V311, []byte{0x20, 2, 0, 4}, Rejected, packet.BadUserNameOrPassword},
		{"3.1.1 code 5", packet.V311, []byte{0x20, 2, 0, 5}, Rejected, packet.NotAuthorized},
		{"3.1.1 to 5.0", packet.V5, []byte{0x20, 2, 0, 1}, Rejected, packet.UnsupportedProtocolVersion},
		{"5.0", packet.V5, []byte{0x20, 3, 0, 0x8A, 0}, Rejected, packet.Banned},
	} {
		_, err := fresh(test.v).receive(test.in, epoch)
		var e *Error
		if !errors.As(err, &e) || e.Kind != test.kind || e.Reason != test.reason || !bytes.Contains([]byte(e.Text), []byte(test.reason.String())) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	for name, in := range map[string][]byte{
		"not CONNACK":                 {0xD0, 0},
		"accepts 5.0 with 3.1.1":      {0x20, 2, 0, 0},
		"a session after clean start": {0x20, 3, 1, 0, 0},
	} {
		var e *packet.Error
		if _, err := fresh(packet.V5).receive(in, epoch); !errors.As(err, &e) || e.Reason != packet.ProtocolError {
			t.Errorf("%s: %v, want a protocol error", name, err)
		}
	}
}

func TestCoreInfo(t *testing.T) {
	ack := packet.Connack{}
	ack.Props.SetReceiveMaximum(5)
	ack.Props.SetMaximumPacketSize(1000)
	ack.Props.SetServerKeepAlive(7)
	ack.Props.SetAssignedClientID([]byte("auto-1"))
	ack.Props.SetTopicAliasMaximum(9)
	c := upCore(t, Options{KeepAlive: time.Minute, MaxSend: 500}, ack)
	i := c.info
	if i.ReceiveMaximum != 5 || i.MaxPacket != 500 || i.KeepAlive != 7 || i.ClientID != "auto-1" || i.TopicAliasMax != 9 || i.MaxQoS != 2 || !i.RetainAvailable || c.keepAlive != 7*time.Second {
		t.Errorf("%+v, keep alive %s", i, c.keepAlive)
	}
}

// PINGREQ goes out when nothing was sent or nothing was heard; silence after it is the end. v5 [MQTT-3.1.2-20], v3 [MQTT-3.1.2-23]
func TestCoreKeepAlive(t *testing.T) {
	c := upCore(t, Options{KeepAlive: 100 * time.Second, PingTimeout: 10 * time.Second}, packet.Connack{})
	at := func(s int) time.Time { return epoch.Add(time.Duration(s) * time.Second) }
	step := func(s int, next int, words ...string) {
		t.Helper()
		due, err := c.tick(at(s), 0)
		if err != nil || next == 0 != due.IsZero() || next != 0 && !due.Equal(at(next)) {
			t.Fatalf("at %d s: due %s, %v, want %d s", s, due.Sub(epoch), err, next)
		}
		want(t, written(t, c), words...)
	}
	step(0, 75)
	step(74, 75)
	step(75, 0, "PINGREQ")
	c.wrote(at(76), 0)
	step(76, 86)
	if _, err := c.receive(wire(t, packet.V5, &packet.Pingresp{}), at(80)); err != nil {
		t.Fatal(err)
	}
	step(80, 76+75)
	if _, err := c.receive(nil, at(150)); err != nil { // heard, but not sent
		t.Fatal(err)
	}
	step(151, 0, "PINGREQ")
	c.wrote(at(151), 0)
	if _, err := c.receive(nil, at(160)); err != nil { // anything heard is a sign of life
		t.Fatal(err)
	}
	step(161, 170)
	_, err := c.tick(at(170), 0)
	var e *Error
	if !errors.As(err, &e) || e.Kind != Silent {
		t.Fatalf("at 170 s: %v, want silence to be noticed", err)
	}
}

// On a slow link a PINGREQ waits behind what was written before it: as long as that moves, there can be no answer yet.
func TestCorePingBehindMuch(t *testing.T) {
	c := upCore(t, Options{KeepAlive: 100 * time.Second, PingTimeout: 10 * time.Second}, packet.Connack{})
	at := func(s int) time.Time { return epoch.Add(time.Duration(s) * time.Second) }
	look := func(s int, delivered int64) error {
		t.Helper()
		_, err := c.tick(at(s), delivered)
		return err
	}
	if err := look(75, 1000); err != nil { // appends the PINGREQ
		t.Fatal(err)
	}
	c.wrote(at(75), 500_000)
	for i, delivered := range []int64{1000, 100_000, 300_000, 500_000} {
		if err := look(75+9*i, delivered); err != nil {
			t.Fatalf("with %d bytes at the server: %v", delivered, err)
		}
	}
	if err := look(75+9*3+9, 600_000); err != nil {
		t.Fatal(err)
	}
	if err := look(75+9*3+10, 700_000); err == nil { // what lies behind the PINGREQ does not count
		t.Fatal("a server that has the PINGREQ and does not answer is not noticed")
	}
}

// A run of messages costs no allocation: sent, acknowledged, received, acknowledged.
func TestCoreAllocations(t *testing.T) {
	for _, v := range versions {
		c := upCore(t, Options{Version: v}, packet.Connack{})
		p := packet.Publish{Topic: []byte("plant/temperature"), Payload: make([]byte, 100), QoS: 1}
		in := wire(t, v, &packet.Publish{Topic: []byte("t"), QoS: 1, ID: 3}, &packet.Publish{Topic: []byte("t"), QoS: 1, ID: 4})
		ack := []byte{0x40, 2, 0, 0}
		var out []byte
		var zeros []uint64
		n := testing.AllocsPerRun(1000, func() {
			if err := c.publish(&p, 1); err != nil {
				t.Fatal(err)
			}
			out, zeros = c.take(out, zeros)
			c.wrote(epoch, 0)
			ack[2], ack[3] = byte(p.ID>>8), byte(p.ID)
			if _, err := c.receive(ack, epoch); err != nil || len(c.acks) != 1 {
				t.Fatal(err, c.acks)
			}
			if _, err := c.receive(in, epoch); err != nil || len(c.messages) != 2 {
				t.Fatal(err)
			}
			if err := c.acknowledge(2, packet.Success); err != nil {
				t.Fatal(err)
			}
			c.acks, c.messages = c.acks[:0], c.messages[:0]
		})
		if n > 0 {
			t.Errorf("%s: %v allocations per message", v, n)
		}
	}
}

// Whatever a server sends, the core uses whole packets only, allocates within bounds and does not panic; what it
// answers is readable.
func FuzzCoreReceive(f *testing.F) {
	for _, v := range versions {
		f.Add(byte(v), wire(f, v, &packet.Publish{Topic: []byte("a"), QoS: 2, ID: 8}, &packet.Ack{Type: packet.TypePubrel, ID: 8}, &packet.Ack{Type: packet.TypePuback, ID: 1}, &packet.Pingresp{}))
		f.Add(byte(v), wire(f, v, &packet.Ack{Type: packet.TypePubrec, ID: 2}, &packet.Ack{Type: packet.TypePubcomp, ID: 2}, &packet.Suback{ID: 3, Reasons: []packet.Reason{1}}))
	}
	f.Fuzz(func(t *testing.T, version byte, in []byte) {
		v := packet.V311
		if version%2 == 1 {
			v = packet.V5
		}
		c := upCore(t, Options{Version: v, MaxPacket: 4096, ReceiveMaximum: 10}, packet.Connack{})
		for q := byte(1); q <= 2; q++ {
			if err := c.publish(&packet.Publish{Topic: []byte("t"), QoS: q}, uint64(q)); err != nil {
				t.Fatal(err)
			}
		}
		for used := 0; ; {
			n, err := c.receive(in[used:], epoch)
			used += n
			if used > len(in) || len(c.messages) > maxMessages {
				t.Fatalf("used %d of %d bytes, %d messages", used, len(in), len(c.messages))
			}
			if aerr := c.acknowledge(len(c.messages), packet.Success); aerr != nil {
				t.Fatal(aerr)
			}
			c.messages = c.messages[:0]
			if err != nil || n == 0 {
				break
			}
		}
		written(t, c)
		if len(c.acks) > 2 {
			t.Fatalf("two messages ended %d times", len(c.acks))
		}
	})
}
