package packet

import (
	"bytes"
	"unicode/utf8"
)

// reader takes fields off the front of a packet body. The first failure is kept, and every later read gives zero values,
// so that a decoder reads straight through and looks at err once. Nothing is copied.
type reader struct {
	in  Type   // for the error texts
	b   []byte // what is left
	err error
}

// open starts to read a frame that has to be of type t.
func open(f Frame, t Type, v Version) reader {
	r := reader{in: t, b: f.Body}
	switch {
	case f.Type != t:
		r.fail(ProtocolError, "got %s", f.Type)
	case v != V311 && v != V5:
		r.fail(UnsupportedProtocolVersion, "%s, want 3.1.1 or 5.0", v)
	default:
		if err := checkFlags(f.Type, f.Flags); err != nil {
			r.b, r.err = nil, err
		} else if v == V5 {
			r.shortest(f)
		}
	}
	return r
}

// shortest holds the remaining length of a 5.0 packet against the rule for all its numbers.
func (r *reader) shortest(f Frame) {
	if f.Long { // [MQTT-1.5.5-1]
		r.fail(MalformedPacket, "remaining length of %d is not in its shortest form", len(f.Body))
	}
}

// close ends a packet that has nothing after what was read.
func (r *reader) close() error {
	if len(r.b) > 0 {
		r.fail(MalformedPacket, "%d bytes after the end", len(r.b)) // v5 section 4.13, 3.1.1 [MQTT-4.8.0-1]
	}
	return r.err
}

func (r *reader) fail(reason Reason, format string, a ...any) {
	if r.err == nil {
		e := Errorf(reason, format, a...)
		e.Text = r.in.String() + ": " + e.Text
		r.err = e
	}
	r.b = nil
}

func (r *reader) short(what string, want int) {
	r.fail(MalformedPacket, "%s: %d bytes left, want %d", what, len(r.b), want)
}

func (r *reader) byte(what string) byte {
	if len(r.b) < 1 {
		r.short(what, 1)
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

func (r *reader) uint16(what string) uint16 {
	if len(r.b) < 2 {
		r.short(what, 2)
		return 0
	}
	v := uint16(r.b[0])<<8 | uint16(r.b[1])
	r.b = r.b[2:]
	return v
}

func (r *reader) uint32(what string) uint32 {
	if len(r.b) < 4 {
		r.short(what, 4)
		return 0
	}
	v := uint32(r.b[0])<<24 | uint32(r.b[1])<<16 | uint32(r.b[2])<<8 | uint32(r.b[3])
	r.b = r.b[4:]
	return v
}

// varint reads a variable byte integer inside a 5.0 packet: at most four bytes, no byte more than needed.
func (r *reader) varint(what string) uint32 {
	v := uint32(0)
	for i := 0; i < 4 && i < len(r.b); i++ {
		c := r.b[i]
		v |= uint32(c&0x7F) << (7 * i)
		if c&0x80 != 0 {
			continue
		}
		if c == 0 && i > 0 { // [MQTT-1.5.5-1]
			r.fail(MalformedPacket, "%s: %d in %d bytes, want the shortest form", what, v, i+1)
			return 0
		}
		r.b = r.b[i+1:]
		return v
	}
	if len(r.b) >= 4 {
		r.fail(MalformedPacket, "%s: number of more than 4 bytes", what) // [MQTT-1.5.5-1]
	} else {
		r.fail(MalformedPacket, "%s: cut off", what)
	}
	return 0
}

// binary reads a two-byte length and as many bytes.
func (r *reader) binary(what string) []byte {
	n := int(r.uint16(what))
	if r.err != nil {
		return nil
	}
	if n > len(r.b) {
		r.short(what, n)
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

// text reads a UTF-8 string. Bytes EF BB BF are a character like any other: v5 [MQTT-1.5.4-3], 3.1.1 [MQTT-1.5.3-3].
func (r *reader) text(what string) []byte {
	v := r.binary(what)
	if r.err == nil && !validText(v) {
		r.fail(MalformedPacket, "%s: ill-formed UTF-8 or U+0000", what)
		return nil
	}
	return v
}

// id reads a packet identifier.
func (r *reader) id() uint16 {
	v := r.uint16("packet id")
	if r.err == nil && v == 0 { // v5 [MQTT-2.2.1-3], 3.1.1 [MQTT-2.3.1-1]
		r.fail(ProtocolError, "packet id 0")
	}
	return v
}

// reason reads a 5.0 reason code and holds it against the table.
func (r *reader) reason() Reason {
	v := Reason(r.byte("reason code"))
	if r.err == nil && !v.Fits(r.in) { // [MQTT-3.2.2-8] [MQTT-3.4.2-1] [MQTT-3.5.2-1] [MQTT-3.6.2-1] [MQTT-3.7.2-1] [MQTT-3.9.3-2] [MQTT-3.11.3-2] [MQTT-3.14.2-1] [MQTT-3.15.2-1]
		r.fail(ProtocolError, "reason code 0x%02x does not belong here", uint8(v))
	}
	return v
}

// validText holds bytes against the rules for strings. Code points a receiver MAY refuse (control characters,
// non-characters) are accepted here.
func validText(b []byte) bool {
	return utf8.Valid(b) && // v5 [MQTT-1.5.4-1], 3.1.1 [MQTT-1.5.3-1]: surrogates are ill-formed to Go as well
		bytes.IndexByte(b, 0) < 0 // v5 [MQTT-1.5.4-2], 3.1.1 [MQTT-1.5.3-2]
}
