package packet

import "math/bits"

// decode reads the property length and the properties of one place: a packet, or the will inside CONNECT.
// 3.1.1 has neither; p is empty then.
func (p *Properties) decode(r *reader, place uint16, v Version) {
	p.Reset()
	if v != V5 {
		return
	}
	n := int(r.varint("property length"))
	if n > len(r.b) {
		r.short("properties", n)
		return
	}
	after := r.b[n:]
	r.b = r.b[:n]
	for len(r.b) > 0 {
		p.decodeOne(r, place)
	}
	if r.err == nil && p.has&(1<<PropAuthData) != 0 && p.has&(1<<PropAuthMethod) == 0 { // section 3.1.2.11.10
		r.fail(ProtocolError, "authentication data without a method")
	}
	if r.err == nil {
		r.b = after
	}
}

func (p *Properties) decodeOne(r *reader, place uint16) {
	id := Property(r.byte("property"))                              // every known identifier is one byte of a variable byte integer
	if int(id) >= len(properties) || properties[id].in&place == 0 { // section 2.2.2.2
		r.fail(MalformedPacket, "%s does not belong here", id)
		return
	}
	rule := &properties[id]
	if p.repeated(id, place) { // section 2.2.2.2 and each property's own
		r.fail(ProtocolError, "%s stands twice", id)
		return
	}
	switch rule.kind {
	case kindByte:
		p.take(r, id, rule, uint32(r.byte(rule.name)))
	case kindUint16:
		p.take(r, id, rule, uint32(r.uint16(rule.name)))
	case kindUint32:
		p.take(r, id, rule, r.uint32(rule.name))
	case kindVarint:
		if n := r.varint(rule.name); r.inRange(id, rule, n) {
			p.SubscriptionIDs = append(p.SubscriptionIDs, n)
		}
	case kindText:
		*p.bytes(id) = r.text(rule.name)
		p.has |= 1 << id
	case kindBinary:
		*p.bytes(id) = r.binary(rule.name)
		p.has |= 1 << id
	case kindPair:
		u := UserProperty{Key: r.text(rule.name), Value: r.text(rule.name)}
		if r.err == nil {
			p.User = append(p.User, u)
		}
	}
}

// repeated tells whether another property of this kind is one too many.
func (p *Properties) repeated(id Property, place uint16) bool {
	if id == PropSubscriptionID {
		return place != inPublish && len(p.SubscriptionIDs) > 0
	}
	return p.has&(1<<id) != 0
}

func (p *Properties) take(r *reader, id Property, rule *rule, v uint32) {
	if r.inRange(id, rule, v) {
		p.setNumber(id, v)
		p.has |= 1 << id
	}
}

func (r *reader) inRange(id Property, rule *rule, v uint32) bool {
	if r.err == nil && rule.max > 0 && (v < rule.min || v > rule.max) {
		r.fail(id.refuse(), "%s %d, want %d to %d", id, v, rule.min, rule.max)
	}
	return r.err == nil
}

// size checks every property against the table and counts the bytes of the block, without its length field.
func (p *Properties) size(s *sizer, place uint16) int {
	start := s.n
	for set := p.has; set != 0; set &= set - 1 {
		p.sizeOne(s, Property(bits.TrailingZeros64(set)), place)
	}
	if p.has&(1<<PropAuthData) != 0 && p.has&(1<<PropAuthMethod) == 0 { // section 3.1.2.11.10
		s.fail(ProtocolError, "authentication data without a method")
	}
	p.sizeLists(s, place)
	block := s.n - start
	s.n = start
	if block > maxLength {
		s.fail(PacketTooLarge, "properties of %d bytes, want at most %d", block, maxLength)
	}
	return block
}

func (p *Properties) sizeOne(s *sizer, id Property, place uint16) {
	rule := &properties[id]
	if rule.in&place == 0 {
		s.fail(MalformedPacket, "%s does not belong here", id)
		return
	}
	s.n++
	switch rule.kind {
	case kindText:
		s.text(rule.name, *p.bytes(id))
		return
	case kindBinary:
		s.binary(rule.name, *p.bytes(id))
		return
	case kindByte:
		s.n++
	case kindUint16:
		s.n += 2
	case kindUint32:
		s.n += 4
	}
	s.inRange(id, p.number(id))
}

func (p *Properties) sizeLists(s *sizer, place uint16) {
	if len(p.SubscriptionIDs) > 0 && properties[PropSubscriptionID].in&place == 0 {
		s.fail(MalformedPacket, "%s does not belong here", PropSubscriptionID)
	}
	if len(p.SubscriptionIDs) > 1 && place != inPublish {
		s.fail(ProtocolError, "%s stands %d times", PropSubscriptionID, len(p.SubscriptionIDs))
	}
	for _, n := range p.SubscriptionIDs {
		s.inRange(PropSubscriptionID, n)
		s.n += 1 + varintSize(int(n&maxLength))
	}
	for i := range p.User {
		s.n++
		s.text("user property", p.User[i].Key)
		s.text("user property", p.User[i].Value)
	}
}

func (s *sizer) inRange(id Property, v uint32) {
	if rule := &properties[id]; rule.max > 0 && (v < rule.min || v > rule.max) {
		s.fail(id.refuse(), "%s %d, want %d to %d", id, v, rule.min, rule.max)
	}
}

// append writes the block that size measured, its length first; nothing for a negative block.
// Single properties come in the order of their identifiers, the lists last and in their own order: v5 [MQTT-3.3.2-18] [MQTT-3.1.3-10].
func (p *Properties) append(dst []byte, block int) []byte {
	if block < 0 {
		return dst
	}
	dst = appendVarint(dst, block) // v5 [MQTT-2.2.2-1]
	if block == 0 {
		return dst
	}
	for set := p.has; set != 0; set &= set - 1 {
		id := Property(bits.TrailingZeros64(set))
		dst = append(dst, byte(id))
		switch properties[id].kind {
		case kindByte:
			dst = append(dst, byte(p.number(id)))
		case kindUint16:
			dst = appendUint16(dst, uint16(p.number(id)))
		case kindUint32:
			dst = appendUint32(dst, p.number(id))
		case kindText, kindBinary:
			dst = appendBinary(dst, *p.bytes(id))
		}
	}
	for _, n := range p.SubscriptionIDs {
		dst = appendVarint(append(dst, byte(PropSubscriptionID)), int(n))
	}
	for i := range p.User {
		dst = append(dst, byte(PropUser))
		dst = appendBinary(dst, p.User[i].Key)
		dst = appendBinary(dst, p.User[i].Value)
	}
	return dst
}
