package packet

import (
	"bytes"
	"testing"
)

// publishes are heads and payloads as the broker sees them most.
func plainPublish() Publish {
	return Publish{QoS: 1, ID: 10, Topic: []byte("plant/boiler/temperature"), Payload: []byte("75.25")}
}

func richPublish() Publish {
	p := plainPublish()
	p.Props.SetMessageExpiry(3600)
	p.Props.SetContentType([]byte("application/json"))
	p.Props.SetResponseTopic([]byte("plant/answers"))
	p.Props.SetCorrelationData([]byte{1, 2, 3})
	p.Props.SubscriptionIDs = []uint32{7, 300}
	p.Props.AddUser([]byte("time"), []byte("2026-11-22T14:02:11.250Z"))
	p.Props.AddUser([]byte("unit"), []byte("°C"))
	return p
}

func TestPublishAllocatesNothing(t *testing.T) {
	for name, p := range map[string]Publish{"plain": plainPublish(), "rich": richPublish()} {
		for _, v := range []Version{V311, V5} {
			wire, err := p.Append(nil, v)
			if err != nil {
				t.Fatal(err)
			}
			var got Publish
			decode := func() {
				f, n, err := Next(wire, 0)
				if err != nil || n != len(wire) {
					t.Fatal(n, err)
				}
				if err := got.Decode(f, v); err != nil {
					t.Fatal(err)
				}
			}
			decode() // the lists get their room once
			if n := testing.AllocsPerRun(100, decode); n != 0 {
				t.Errorf("%s %s: Decode allocates %v times", name, v, n)
			}
			room := make([]byte, 0, len(wire))
			if n := testing.AllocsPerRun(100, func() {
				if out, err := got.Append(room, v); err != nil || !bytes.Equal(out, wire) {
					t.Fatalf("% x, %v", out, err)
				}
			}); n != 0 {
				t.Errorf("%s %s: Append allocates %v times with exactly the room it needs", name, v, n)
			}
			if n := testing.AllocsPerRun(100, func() {
				if _, err := got.Append(nil, v); err != nil {
					t.Fatal(err)
				}
			}); n != 1 {
				t.Errorf("%s %s: Append allocates %v times without room, want once", name, v, n)
			}
		}
	}
}

func TestPublishOnTheStackAllocatesNothing(t *testing.T) {
	wire := []byte{0x30, 4, 0, 1, 'a', 'x'}
	if n := testing.AllocsPerRun(100, func() {
		var p Publish
		f, _, _ := Next(wire, 0)
		if err := p.Decode(f, V311); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("a Publish on the stack costs %v allocations", n)
	}
}

func TestAppendHead(t *testing.T) {
	for _, p := range []Publish{plainPublish(), richPublish()} {
		p.Payload = bytes.Repeat([]byte("x"), 300) // the length takes two bytes because of the payload
		whole, err := p.Append([]byte("before"), V5)
		if err != nil {
			t.Fatal(err)
		}
		head, err := p.AppendHead([]byte("before"), V5)
		if err != nil {
			t.Fatal(err)
		}
		if got := append(head, p.Payload...); !bytes.Equal(got, whole) {
			t.Errorf("head and payload: % x\nwhole packet:     % x", got, whole)
		}
	}
}

func BenchmarkPublish(b *testing.B) {
	for _, c := range []struct {
		name string
		p    Publish
		v    Version
	}{{"plain-3.1.1", plainPublish(), V311}, {"plain-5.0", plainPublish(), V5}, {"rich-5.0", richPublish(), V5}} {
		wire, err := c.p.Append(nil, c.v)
		if err != nil {
			b.Fatal(err)
		}
		b.Run("decode/"+c.name, func(b *testing.B) {
			b.ReportAllocs()
			var p Publish
			for b.Loop() {
				f, _, _ := Next(wire, 0)
				if err := p.Decode(f, c.v); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("append/"+c.name, func(b *testing.B) {
			b.ReportAllocs()
			room := make([]byte, 0, len(wire))
			for b.Loop() {
				if _, err := c.p.Append(room, c.v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
