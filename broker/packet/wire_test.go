package packet

import (
	"encoding/hex"
	"errors"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// raw turns hex digits with spaces into bytes.
func raw(t testing.TB, digits string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
	if err != nil {
		t.Fatalf("%q: %v", digits, err)
	}
	return b
}

// wire puts the remaining length between the first byte and the body of a packet given in hex.
func wire(t testing.TB, digits string) []byte {
	t.Helper()
	b := raw(t, digits)
	return append(appendVarint(b[:1:1], len(b)-1), b[1:]...)
}

// valid is a packet as bytes and as the value it stands for. Hex is the first byte and the body; the length is put in between.
type valid struct {
	name string
	v    Version
	hex  string
	want codec
	// canonical is what Append writes if it is not hex itself.
	canonical string
}

// invalid is a packet that must not decode. Hex is as in valid.
type invalid struct {
	name   string // what is wrong, and the statement if there is one
	v      Version
	hex    string
	reason Reason
}

func testValid(t *testing.T, rows []valid) {
	for _, c := range rows {
		t.Run(c.v.String()+" "+c.name, func(t *testing.T) {
			b := wire(t, c.hex)
			f, n, err := Next(b, len(b))
			if err != nil || n != len(b) {
				t.Fatalf("Next: %d of %d bytes, %v", n, len(b), err)
			}
			got := blank(f.Type)
			if err := got.Decode(f, c.v); err != nil {
				t.Fatalf("Decode: %v", err)
			}
			if !same(got, c.want) {
				t.Errorf("decoded %+v\nwant    %+v", got, c.want)
			}
			canonical := b
			if c.canonical != "" {
				canonical = wire(t, c.canonical)
			}
			prefix := []byte("before")
			out, err := c.want.Append(prefix, c.v)
			if err != nil {
				t.Fatalf("Append: %v", err)
			}
			if want := string(prefix) + string(canonical); string(out) != want {
				t.Errorf("appended % x\nwant     % x", out, want)
			}
			roundTrip(t, b, c.v)
			cutShort(t, f, c.v)
		})
	}
}

// cutShort takes bytes off the end of the body: what is left is an error or another valid packet, never a panic.
func cutShort(t *testing.T, f Frame, v Version) {
	for n := range f.Body {
		p := blank(f.Type)
		if err := p.Decode(Frame{Type: f.Type, Flags: f.Flags, Body: f.Body[:n:n]}, v); err == nil {
			if _, err := p.Append(nil, versionOf(p, v)); err != nil {
				t.Errorf("cut to %d bytes it decodes, but: %v", n, err)
			}
		}
	}
}

func testInvalid(t *testing.T, rows []invalid) {
	for _, c := range rows {
		t.Run(c.v.String()+" "+c.name, func(t *testing.T) {
			f, _, err := Next(wire(t, c.hex), 0)
			if err == nil {
				err = blank(f.Type).Decode(f, c.v)
			}
			wantReason(t, err, c.reason)
		})
	}
}

func wantReason(t *testing.T, err error, want Reason) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got error %v, want %s", err, want)
	}
	if e.Reason != want {
		t.Errorf("got %q, want %s", e, want)
	}
}

// TestExampleOfTheFrame parses the hex lines of the package comment.
func TestExampleOfTheFrame(t *testing.T) {
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	for v, with5 := range map[Version]bool{V311: false, V5: true} {
		line := regexp.MustCompile(`(?m)^//\texample ` + regexp.QuoteMeta(v.String()) + `: +(.*)$`).FindSubmatch(text)
		if line == nil {
			t.Fatalf("no example for %s in doc.go", v)
		}
		b := raw(t, string(line[1]))
		want := Publish{QoS: 1, Retain: true, ID: 10, Topic: []byte("a/b"), Payload: []byte("75")}
		if with5 {
			want.Props.SetMessageExpiry(60)
			want.Props.AddUser([]byte("k"), []byte("v"))
		}
		f, n, err := Next(b, 0)
		if err != nil || n != len(b) {
			t.Fatalf("%s: Next took %d of %d bytes, %v", v, n, len(b), err)
		}
		var got Publish
		if err := got.Decode(f, v); err != nil || !same(got, want) {
			t.Errorf("%s: got %+v, %v\nwant %+v", v, got, err, want)
		}
		if out, err := want.Append(nil, v); err != nil || string(out) != string(b) {
			t.Errorf("%s: appended % x, %v\nwant % x", v, out, err, b)
		}
	}
}

// TestListCost holds the factor in the package comment to the types.
func TestListCost(t *testing.T) {
	for name, c := range map[string]struct {
		entry any
		wire  uintptr
	}{
		"subscription": {Subscription{}, 3}, "filter": {[]byte{}, 2}, "user property": {UserProperty{}, 5},
		"subscription identifier": {uint32(0), 2}, "reason": {Success, 1},
	} {
		if size := reflect.TypeOf(c.entry).Size(); size > 12*c.wire {
			t.Errorf("a %s takes %d bytes for %d on the wire, more than 12 for each", name, size, c.wire)
		}
	}
}

func TestFirstByte(t *testing.T) {
	for first := range 256 {
		typ, flags := Type(first>>4), byte(first&15)
		ok := flags == 0 && typ != 0
		switch typ {
		case TypePubrel, TypeSubscribe, TypeUnsubscribe: // v5 [MQTT-3.6.1-1] [MQTT-3.8.1-1] [MQTT-3.10.1-1], 3.1.1 likewise
			ok = flags == 2
		case TypePublish: // [MQTT-3.3.1-2] [MQTT-3.3.1-4]
			qos := flags >> 1 & 3
			ok = qos != 3 && !(qos == 0 && flags&8 != 0)
		}
		_, n, err := Next([]byte{byte(first)}, 0)
		if ok && err != nil {
			t.Errorf("first byte %#02x: %v", first, err)
		}
		if !ok { // v5 [MQTT-2.1.3-1] [MQTT-3.14.1-1] [MQTT-3.15.1-1], 3.1.1 [MQTT-2.2.2-1] [MQTT-2.2.2-2]
			wantReason(t, err, MalformedPacket)
			if typ != 0 {
				wantReason(t, blank(typ).Decode(Frame{Type: typ, Flags: flags, Body: nil}, V5), MalformedPacket)
			}
		}
		if n != 0 {
			t.Errorf("first byte %#02x alone: %d bytes", first, n)
		}
	}
}

// v5 [MQTT-1.5.5-1]
func TestNextLength(t *testing.T) {
	for _, c := range []struct {
		hex   string
		limit int
		n     int
		want  Reason // Success: no error
	}{
		{"", 0, 0, Success},
		{"C0", 0, 0, Success},
		{"C0 00", 0, 2, Success},
		{"C0 00 FF", 0, 2, Success},
		{"C0 80 00", 0, 3, Success}, // not the shortest: accepted
		{"C0 80 80 80 00", 0, 5, Success},
		{"C0 80 80 80", 0, 0, Success},
		{"C0 80 80 80 80", 0, 0, MalformedPacket},
		{"30 FF FF FF FF", 0, 0, MalformedPacket},
		{"30 FF FF FF 7F", 0, 0, Success}, // the largest packet there is: wait for it
		{"30 FF FF FF 7F", 268435460, 0, Success},
		{"30 FF FF FF 7F", 268435459, 0, PacketTooLarge}, // v5 [MQTT-3.2.2-15]: before any of it arrived
		{"30 7F", 129, 0, Success},
		{"30 7F", 128, 0, PacketTooLarge},
		{"30 80 01", 130, 0, PacketTooLarge},
		{"30 80 01", 131, 0, Success},
		{"30 02 00", 4, 0, Success},
		{"30 02 00 00", 4, 4, Success},
		{"30 03 00 00 00", 4, 0, PacketTooLarge},
	} {
		f, n, err := Next(raw(t, c.hex), c.limit)
		if c.want != Success {
			wantReason(t, err, c.want)
		} else if err != nil {
			t.Errorf("%s, limit %d: %v", c.hex, c.limit, err)
		}
		if n != c.n || n > 0 && len(f.Body) > n-2 {
			t.Errorf("%s, limit %d: %d bytes, body %d, want %d", c.hex, c.limit, n, len(f.Body), c.n)
		}
	}
}

// TestShortestLength: each packet whose remaining length has a byte too many is refused in 5.0, and taken in 3.1.1.
// v5 [MQTT-1.5.5-1]
func TestShortestLength(t *testing.T) {
	for _, c := range []struct{ v311, v5 string }{
		{"10 8D 00 0004 4D515454 04 02 0000 0001 63", "10 8E 00 0004 4D515454 05 02 0000 00 0001 63"},
		{"20 82 00 00 00", "20 83 80 00 00 00 00"},
		{"30 83 80 80 00 0001 61", "30 84 00 0001 61 00"},
		{"40 82 00 0001", "40 82 00 0001"},
		{"62 82 80 00 0001", "62 82 00 0001"},
		{"82 86 00 0001 0001 61 00", "82 87 00 0001 00 0001 61 00"},
		{"90 83 00 0001 00", "90 84 00 0001 00 00"},
		{"A2 85 00 0001 0001 61", "A2 86 00 0001 00 0001 61"},
		{"B0 82 00 0001", "B0 84 00 0001 00 00"},
		{"C0 80 00", "C0 80 80 80 00"},
		{"D0 80 00", "D0 80 00"},
		{"E0 80 00", "E0 80 00"},
		{"", "F0 80 00"},
	} {
		for v, digits := range map[Version]string{V311: c.v311, V5: c.v5} {
			if digits == "" {
				continue
			}
			f, n, err := Next(raw(t, digits), 0)
			if err != nil || n == 0 {
				t.Fatalf("%s: %d bytes, %v", digits, n, err)
			}
			if err = blank(f.Type).Decode(f, v); v == V5 {
				wantReason(t, err, MalformedPacket)
			} else if err != nil {
				t.Errorf("%s: %v in 3.1.1", digits, err)
			}
		}
	}
	long := append([]byte{0x30, 0x80, 0x01, 0, 1, 'a', 0}, make([]byte, 128-4)...)
	f, _, _ := Next(long, 0)
	if err := new(Publish).Decode(f, V5); err != nil { // two bytes are needed
		t.Errorf("128 bytes: %v", err)
	}
}

func TestVarint(t *testing.T) {
	for _, c := range []struct {
		v   int
		hex string
	}{
		{0, "00"}, {127, "7F"}, {128, "80 01"}, {16383, "FF 7F"}, {16384, "80 80 01"},
		{2097151, "FF FF 7F"}, {2097152, "80 80 80 01"}, {268435455, "FF FF FF 7F"},
	} {
		want := raw(t, c.hex)
		if got := appendVarint(nil, c.v); string(got) != string(want) || varintSize(c.v) != len(want) {
			t.Errorf("%d: % x of size %d, want % x", c.v, got, varintSize(c.v), want)
		}
		r := reader{b: want}
		if got := r.varint("number"); r.err != nil || int(got) != c.v {
			t.Errorf("% x: %d, %v, want %d", want, got, r.err, c.v)
		}
	}
	for _, digits := range []string{"", "80", "FF FF", "80 00", "FF 00", "80 80 80 80", "FF FF FF FF 01"} {
		r := reader{b: raw(t, digits)}
		r.varint("number")
		wantReason(t, r.err, MalformedPacket)
	}
}

func TestText(t *testing.T) {
	for _, c := range []struct {
		name, hex string
		ok        bool
	}{
		{"empty", "", true},
		{"v5 [MQTT-1.5.4-3], 3.1.1 [MQTT-1.5.3-3] a byte order mark stays", "EF BB BF 61", true},
		{"control characters may be refused and are not", "01 1F 7F C2 80", true},
		{"highest code point", "F4 8F BF BF", true},
		{"next to the surrogates", "ED 9F BF EE 80 80", true},
		{"v5 [MQTT-1.5.4-1], 3.1.1 [MQTT-1.5.3-1] first surrogate", "ED A0 80", false},
		{"last surrogate", "ED BF BF", false},
		{"above U+10FFFF", "F4 90 80 80", false},
		{"overlong slash", "C0 AF", false},
		{"overlong U+0000", "C0 80", false},
		{"cut off", "61 E2 82", false},
		{"stray continuation", "80", false},
		{"v5 [MQTT-1.5.4-2], 3.1.1 [MQTT-1.5.3-2] U+0000", "61 00 62", false},
	} {
		b := raw(t, c.hex)
		for _, v := range []Version{V311, V5} {
			p := Unsubscribe{ID: 1, Filters: [][]byte{b}}
			_, err := p.Append(nil, v)
			if (err == nil) != c.ok {
				t.Errorf("%s: Append in %s: %v", c.name, v, err)
			}
			body := append([]byte{0, 1, 0, 0, byte(len(b))}, b...)
			if v == V311 {
				body = append([]byte{0, 1, 0, byte(len(b))}, b...)
			}
			err = p.Decode(Frame{Type: TypeUnsubscribe, Flags: 2, Body: body}, v)
			if c.ok && (err != nil || string(p.Filters[0]) != string(b)) {
				t.Errorf("%s: Decode in %s: %v", c.name, v, err)
			}
			if !c.ok {
				wantReason(t, err, MalformedPacket)
			}
		}
	}
}

func TestNames(t *testing.T) {
	for got, want := range map[string]string{
		TypePublish.String():            "PUBLISH",
		Type(16).String():               "type(16)",
		V311.String():                   "3.1.1",
		Version(3).String():             "version(3)",
		PacketTooLarge.String():         "packet too large",
		Reason(0x7F).String():           "reason(0x7f)",
		Reason(0xFF).String():           "reason(0xff)",
		PropTopicAlias.String():         "topic alias",
		Property(4).String():            "property(0x04)",
		Errorf(Banned, "%d", 1).Error(): "banned: 1",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestWrongTypeAndVersion(t *testing.T) {
	for typ := TypeConnect; typ <= TypeAuth; typ++ {
		other := TypePingreq
		if typ == other {
			other = TypePingresp
		}
		wantReason(t, blank(typ).Decode(Frame{Type: other}, V5), ProtocolError)
		if typ != TypeConnect { // it says its own version
			wantReason(t, blank(typ).Decode(Frame{Type: typ, Flags: map[Type]byte{TypePubrel: 2, TypeSubscribe: 2, TypeUnsubscribe: 2}[typ]}, 3), UnsupportedProtocolVersion)
		}
		if p := blank(typ); typ < TypePuback || typ > TypePubcomp {
			_, err := p.Append(nil, 3)
			wantReason(t, err, UnsupportedProtocolVersion)
		}
	}
	_, err := (&Ack{Type: TypePublish, ID: 1}).Append(nil, V5)
	wantReason(t, err, ProtocolError)
}
