package packet

// Unsubscribe ends one or more subscriptions.
type Unsubscribe struct {
	ID      uint16
	Props   Properties
	Filters [][]byte
}

// Decode reads an UNSUBSCRIBE in place; the room of p.Filters is reused. p is undefined after an error.
func (p *Unsubscribe) Decode(f Frame, v Version) error {
	r := open(f, TypeUnsubscribe, v)
	p.ID = r.id()
	p.Props.decode(&r, inUnsubscribe, v)
	p.Filters = p.Filters[:0]
	if r.err == nil && len(r.b) == 0 { // v5 [MQTT-3.10.3-2], 3.1.1 [MQTT-3.10.3-2]
		r.fail(ProtocolError, "no topic filter")
	}
	for len(r.b) > 0 {
		if filter := r.text("topic filter"); r.err == nil { // [MQTT-3.10.3-1]
			p.Filters = append(p.Filters, filter)
		}
	}
	return r.close()
}

// Append appends the packet; dst is unchanged on error. In 3.1.1 Props is left out.
func (p *Unsubscribe) Append(dst []byte, v Version) ([]byte, error) {
	s := size(TypeUnsubscribe, v)
	s.id(p.ID)
	block := s.props(&p.Props, inUnsubscribe)
	if len(p.Filters) == 0 { // v5 [MQTT-3.10.3-2], 3.1.1 [MQTT-3.10.3-2]
		s.fail(ProtocolError, "no topic filter")
	}
	for _, filter := range p.Filters {
		s.text("topic filter", filter)
	}
	dst, err := s.begin(dst, 0b0010) // [MQTT-3.10.1-1]
	if err != nil {
		return dst, err
	}
	dst = appendUint16(dst, p.ID)
	dst = p.Props.append(dst, block)
	for _, filter := range p.Filters {
		dst = appendBinary(dst, filter)
	}
	return dst, nil
}

// Unsuback answers an UNSUBSCRIBE: in 5.0 one reason for each filter, in the same order; 3.1.1 has none.
type Unsuback struct {
	ID      uint16
	Props   Properties
	Reasons []Reason
}

// Decode reads an UNSUBACK in place; the room of p.Reasons is reused. p is undefined after an error.
func (p *Unsuback) Decode(f Frame, v Version) error {
	r := open(f, TypeUnsuback, v)
	p.ID = r.id()
	p.Props.decode(&r, inUnsuback, v)
	p.Reasons = p.Reasons[:0]
	if v == V5 {
		p.Reasons = r.reasons(p.Reasons, v)
	}
	return r.close()
}

// Append appends the packet; dst is unchanged on error. In 3.1.1 Props and Reasons are left out.
func (p *Unsuback) Append(dst []byte, v Version) ([]byte, error) {
	s := size(TypeUnsuback, v)
	s.id(p.ID) // v5 [MQTT-2.2.1-6] [MQTT-3.10.4-5], 3.1.1 [MQTT-2.3.1-7] [MQTT-3.10.4-4]
	block := s.props(&p.Props, inUnsuback)
	if v == V5 {
		s.reasons(p.Reasons)
	}
	dst, err := s.begin(dst, 0)
	if err != nil {
		return dst, err
	}
	dst = appendUint16(dst, p.ID)
	dst = p.Props.append(dst, block)
	if v == V5 {
		for _, reason := range p.Reasons { // [MQTT-3.11.3-1]
			dst = append(dst, byte(reason))
		}
	}
	return dst, nil
}
