package packet

// sizer checks the fields of a packet that is to be written and adds up their length. The first failure is kept.
// A packet is written only after all of it was checked, so that dst is never left half written.
type sizer struct {
	in  Type // for the error texts
	v   Version
	n   int // the remaining length so far
	err error
}

func size(t Type, v Version) sizer {
	s := sizer{in: t, v: v}
	if v != V311 && v != V5 {
		s.fail(UnsupportedProtocolVersion, "%s, want 3.1.1 or 5.0", v)
	}
	return s
}

func (s *sizer) fail(reason Reason, format string, a ...any) {
	if s.err == nil {
		e := Errorf(reason, format, a...)
		e.Text = s.in.String() + ": " + e.Text
		s.err = e
	}
}

func (s *sizer) binary(what string, b []byte) {
	if len(b) > 0xFFFF { // sections 1.5.4 and 1.5.6
		s.fail(MalformedPacket, "%s of %d bytes, want at most 65535", what, len(b))
	}
	if s.n += 2 + len(b); s.n > maxLength { // here as well as at the end: a 32-bit sum of many fields must not wrap
		s.fail(PacketTooLarge, "remaining length above %d", maxLength)
	}
}

func (s *sizer) text(what string, b []byte) {
	s.binary(what, b)
	if !validText(b) {
		s.fail(MalformedPacket, "%s: ill-formed UTF-8 or U+0000", what)
	}
}

func (s *sizer) id(id uint16) {
	if id == 0 { // v5 [MQTT-2.2.1-3] [MQTT-2.2.1-4], 3.1.1 [MQTT-2.3.1-1]
		s.fail(ProtocolError, "packet id 0")
	}
	s.n += 2
}

func (s *sizer) reason(r Reason) {
	if !r.Fits(s.in) {
		s.fail(ProtocolError, "reason code 0x%02x does not belong here", uint8(r))
	}
	s.n++
}

// props adds a property block and returns its length without the length field, or -1 in 3.1.1, which has none.
func (s *sizer) props(p *Properties, place uint16) (block int) {
	if s.v != V5 {
		return -1
	}
	if p.Empty() {
		s.n++
		return 0
	}
	block = p.size(s, place)
	s.n += varintSize(block) + block
	return block
}

// begin makes room for the whole packet at the end of dst and writes the fixed header.
func (s *sizer) begin(dst []byte, flags byte) ([]byte, error) {
	return s.beginHead(dst, flags, 0, 0)
}

// beginHead is begin for a packet with tail bytes more at its end, which the caller writes; room is how many of them go to dst.
func (s *sizer) beginHead(dst []byte, flags byte, tail, room int) ([]byte, error) {
	if s.err == nil && s.n > maxLength-tail {
		s.fail(PacketTooLarge, "remaining length %d, want at most %d", s.n+tail, maxLength)
	}
	if s.err != nil {
		return dst, s.err
	}
	dst = grow(dst, 1+varintSize(s.n+tail)+s.n+room)
	dst = append(dst, byte(s.in)<<4|flags)
	return appendVarint(dst, s.n+tail), nil
}

// grow makes room for n bytes more with at most one allocation.
func grow(dst []byte, n int) []byte {
	if cap(dst)-len(dst) >= n {
		return dst
	}
	return append(make([]byte, 0, max(len(dst)+n, cap(dst)+cap(dst)/4)), dst...) // by a quarter, so that many small ones stay cheap
}

func appendUint16(dst []byte, v uint16) []byte { return append(dst, byte(v>>8), byte(v)) }

func appendUint32(dst []byte, v uint32) []byte {
	return append(dst, byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
}

// appendVarint writes the shortest form. v is at most maxLength.
func appendVarint(dst []byte, v int) []byte {
	for v >= 0x80 {
		dst = append(dst, byte(v)|0x80)
		v >>= 7
	}
	return append(dst, byte(v)) // [MQTT-1.5.5-1]
}

func varintSize(v int) int {
	n := 1
	for ; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}

// appendBinary writes a two-byte length and the bytes. The length was checked by a sizer.
func appendBinary(dst, b []byte) []byte {
	return append(appendUint16(dst, uint16(len(b))), b...)
}
