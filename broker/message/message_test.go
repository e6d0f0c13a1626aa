package message

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
	"unsafe"

	"weir/broker/packet"
)

// example is the message whose bytes stand in doc.go.
func example() Message {
	m := Message{Origin: []byte("px")}
	m.Stamp.Wall = time.Date(2026, 11, 22, 14, 2, 11, 250e6, time.UTC).UnixNano()
	m.Topic, m.Payload = []byte("a/"), []byte("75")
	m.QoS, m.Retain = 1, true
	return m
}

// full has everything that a record keeps, and what it must not keep.
func full() Message {
	m := Message{Origin: []byte("client 7"), Hops: 3}
	m.Stamp = Stamp{Boot: 1, Since: 2, Wall: -3}
	m.Topic, m.Payload = []byte("/Home/x"), bytes.Repeat([]byte("p"), 200)
	m.Dup, m.QoS, m.ID = true, 2, 77
	p := &m.Props
	p.SetPayloadFormat(1)
	p.SetMessageExpiry(60)
	p.SetContentType([]byte("text/plain"))
	p.SetResponseTopic([]byte("answer"))
	p.SetCorrelationData([]byte{0, 1})
	p.SetTopicAlias(5)
	p.SubscriptionIDs = []uint32{7, 8}
	p.User = []packet.UserProperty{{Key: []byte("k"), Value: []byte("v")}, {Key: []byte("k"), Value: []byte{}}}
	return m
}

func encode(t testing.TB, m *Message) []byte {
	t.Helper()
	head, err := m.AppendHead(nil)
	if err != nil {
		t.Fatal(err)
	}
	return append(head, m.Payload...)
}

// TestDocumentedBytes reads the bytes drawn in doc.go.
func TestDocumentedBytes(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var digits string
	for line := range strings.Lines(string(doc)) {
		if text, ok := strings.CutPrefix(line, "//\t"); ok {
			text = strings.ReplaceAll(strings.TrimSpace(text), " ", "")
			if _, err := hex.DecodeString(text); err == nil && text != "" {
				digits += text
			}
		}
	}
	body, err := hex.DecodeString(digits)
	if err != nil {
		t.Fatal(err)
	}
	want := example()
	if got := encode(t, &want); !bytes.Equal(got, body) {
		t.Errorf("the example is written as\n%x, doc.go says\n%x", got, body)
	}
	var got Message
	if err := got.Decode(body); err != nil {
		t.Fatal(err)
	}
	if !same(&got, &want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// same compares what a record keeps.
func same(a, b *Message) bool {
	x, y := kept(a), kept(b)
	return reflect.DeepEqual(x, y)
}

// kept is a copy of m with only what a record keeps, and no difference between
// nil and empty.
func kept(m *Message) Message {
	c := m.Clone()
	c.Stamp.Boot, c.Stamp.Since, c.ID, c.Dup = 0, 0, 0, false
	c.Props.Unset(packet.PropTopicAlias)
	c.Props.TopicAlias = 0
	c.eachSlice(func(b *[]byte) {
		if len(*b) == 0 {
			*b = nil
		}
	})
	return c
}

func TestRoundTrip(t *testing.T) {
	plain := Message{} // as a 3.1.1 client sends it, from weir itself, clock not trusted
	plain.Topic = []byte("t")
	for name, m := range map[string]Message{"example": example(), "full": full(), "plain": plain} {
		body := encode(t, &m)
		var got Message
		got.Stamp = Stamp{Boot: 9, Since: 8, Wall: 7}
		if err := got.Decode(body); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !same(&got, &m) {
			t.Errorf("%s: got  %+v\nwant %+v", name, got, m)
		}
		if got.Stamp.Boot != 9 || got.Stamp.Since != 8 {
			t.Errorf("%s: Decode changed Boot or Since: %+v", name, got.Stamp)
		}
		if got.Props.Has(packet.PropTopicAlias) || got.Props.Has(packet.PropSubscriptionID) || got.ID != 0 || got.Dup {
			t.Errorf("%s: something of a connection got into the record: %+v", name, got.Publish)
		}
	}
}

func TestAppendHeadLeavesMessage(t *testing.T) {
	m, want := full(), full()
	encode(t, &m)
	if !reflect.DeepEqual(m, want) {
		t.Errorf("got  %+v\nwant %+v", m, want)
	}
}

func TestAppendHeadRefuses(t *testing.T) {
	for want, spoil := range map[string]func(*Message){
		"without a topic":      func(m *Message) { m.Topic = nil },
		"QoS 3":                func(m *Message) { m.QoS = 3 },
		"origin of 65536":      func(m *Message) { m.Origin = make([]byte, 65536) },
		"cannot be stored":     func(m *Message) { m.Topic = make([]byte, 65536) },
		"be stored: malformed": func(m *Message) { m.Topic = []byte{0xff} },
	} {
		m := example()
		spoil(&m)
		dst := []byte("before")
		got, err := m.AppendHead(dst)
		if err == nil || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(want)) {
			t.Errorf("error %v, want %q in it", err, want)
		}
		if string(got) != "before" {
			t.Errorf("%s: dst became %q", want, got)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	m := example()
	good := encode(t, &m)
	publish := fixedSize + len(m.Origin)
	with := func(at int, b ...byte) []byte {
		c := bytes.Clone(good)
		copy(c[at:], b)
		return c
	}
	tail := func(b ...byte) []byte { return append(bytes.Clone(good[:publish]), b...) }
	for _, c := range []struct {
		name string
		body []byte
		want string
	}{
		{"nothing", nil, "is empty"},
		{"newer", with(0, 2), "unknown version: 2, want 1"},
		{"version 0", with(0, 0), "unknown version: 0, want 1"},
		{"short", good[:fixedSize-1], "12 bytes, want at least 13"},
		{"flags", with(1, 4), "record flags 0x04"},
		{"qos 3", with(1, 3), "record flags 0x03"},
		{"origin too long", with(11, 0xff, 0xff), "origin of 65535 bytes, but 11 are left"},
		{"no packet", good[:publish], "cut off after 0 bytes"},
		{"packet cut", good[:len(good)-1], "cut off after 8 bytes"},
		{"packet and more", tail(append(bytes.Clone(good[publish:]), 0)...), "has 9 bytes, but 10 are there"},
		{"other packet", tail(0xc0, 0), "is PINGREQ, want PUBLISH"},
		{"qos in packet", tail(0x32, 6, 0, 1, 'a', 0, 1, 0), "want QoS 0 and no DUP"},
		{"length of five bytes", tail(0x30, 0xff, 0xff, 0xff, 0xff, 1), "packet in record"},
		{"alias", tail(0x30, 7, 0, 1, 'a', 3, 0x23, 0, 1), "topic alias or subscription"},
		{"alias without topic", tail(0x30, 6, 0, 0, 3, 0x23, 0, 1), "no topic"},
		{"subscription id", tail(0x30, 6, 0, 1, 'a', 2, 0x0b, 1), "topic alias or subscription"},
		{"topic not UTF-8", tail(0x30, 4, 0, 1, 0xff, 0), "packet in record"},
		{"no topic", tail(0x30, 3, 0, 0, 0), "packet in record"},
	} {
		var got Message
		if err := got.Decode(c.body); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q in it", c.name, err, c.want)
		}
	}
	var got Message
	if err := got.Decode(with(0, 9)); !errors.Is(err, ErrVersion) {
		t.Errorf("error %v is not ErrVersion", err)
	}
}

func TestClone(t *testing.T) {
	m := full()
	c := m.Clone()
	if !same(&c, &m) || c.Stamp != m.Stamp {
		t.Fatalf("got  %+v\nwant %+v", c, m)
	}
	inside := map[*byte]bool{}
	m.eachSlice(func(b *[]byte) {
		for i := range *b {
			inside[&(*b)[i]] = true
		}
	})
	c.eachSlice(func(b *[]byte) {
		if cap(*b) != len(*b) {
			t.Errorf("%q has room behind it for its neighbour", *b)
		}
		if len(*b) > 0 && inside[unsafe.SliceData(*b)] {
			t.Errorf("%q is shared", *b)
		}
	})
	if c.Props.SubscriptionIDs != nil || &c.Props.User[0] == &m.Props.User[0] {
		t.Error("a list is shared")
	}
	none := Message{}
	if got := none.Clone(); !reflect.DeepEqual(got, none) {
		t.Errorf("the clone of nothing is %+v", got)
	}
}

func TestAllocations(t *testing.T) {
	m := full()
	body := encode(t, &m)
	dst := make([]byte, 0, 1024)
	var got Message
	if err := got.Decode(body); err != nil {
		t.Fatal(err)
	}
	simple := example()
	for _, c := range []struct {
		name string
		want float64
		run  func()
	}{
		{"AppendHead", 0, func() { dst, _ = m.AppendHead(dst[:0]) }},
		{"Decode", 0, func() { _ = got.Decode(body) }},
		{"Clone", 1, func() { kept := simple.Clone(); _ = kept }},
		{"Clone with user properties", 2, func() { kept := m.Clone(); _ = kept }},
	} {
		if n := testing.AllocsPerRun(200, c.run); n > c.want {
			t.Errorf("%s: %v allocations, want %v", c.name, n, c.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, m := range []Message{example(), full()} {
		body := encode(f, &m)
		f.Add(body)
		f.Add(body[:len(body)-3])
	}
	f.Add([]byte{2})
	f.Fuzz(func(t *testing.T, body []byte) {
		var m Message
		if err := m.Decode(body); err != nil {
			return
		}
		again := encode(t, &m) // what can be read can be written
		var back Message
		if err := back.Decode(again); err != nil {
			t.Fatalf("%x became %x: %v", body, again, err)
		}
		if !same(&m, &back) {
			t.Fatalf("%+v became %+v", m, back)
		}
	})
}

func FuzzRoundTrip(f *testing.F) {
	f.Add("a/b", []byte("75"), []byte("px"), byte(1), true, byte(2), int64(1), "k", "v", []byte("c"))
	f.Add("", []byte{}, []byte{}, byte(3), false, byte(255), int64(-1), "", "\xff", []byte{})
	f.Fuzz(func(t *testing.T, name string, payload, origin []byte, qos byte, retain bool, hops byte, wall int64, key, value string, data []byte) {
		m := Message{Origin: origin, Hops: hops, Stamp: Stamp{Wall: wall}}
		m.Topic, m.Payload, m.QoS, m.Retain, m.ID = []byte(name), payload, qos, retain, 9
		m.Props.SetCorrelationData(data)
		m.Props.User = []packet.UserProperty{{Key: []byte(key), Value: []byte(value)}}
		head, err := m.AppendHead(nil)
		if err != nil {
			return
		}
		var back Message
		if err := back.Decode(append(head, payload...)); err != nil {
			t.Fatalf("%+v cannot be read back: %v", m, err)
		}
		if !same(&m, &back) {
			t.Fatalf("%+v became %+v", m, back)
		}
	})
}

func BenchmarkAppendHead(b *testing.B) {
	m := example()
	dst := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		dst, _ = m.AppendHead(dst[:0])
	}
}

func BenchmarkDecode(b *testing.B) {
	m := example()
	body := encode(b, &m)
	b.ReportAllocs()
	for b.Loop() {
		if err := m.Decode(body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkClone(b *testing.B) {
	m := example()
	b.ReportAllocs()
	for b.Loop() {
		if c := m.Clone(); len(c.Topic) == 0 {
			b.Fatal("no topic")
		}
	}
}

// eachSlice visits every byte slice of a message.
func (m *Message) eachSlice(visit func(*[]byte)) {
	p := &m.Props
	for _, b := range []*[]byte{&m.Origin, &m.Topic, &m.Payload, &p.ContentType, &p.ResponseTopic, &p.CorrelationData} {
		visit(b)
	}
	for i := range p.User {
		visit(&p.User[i].Key)
		visit(&p.User[i].Value)
	}
}
