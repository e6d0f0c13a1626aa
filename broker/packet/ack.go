package packet

// Ack is PUBACK, PUBREC, PUBREL or PUBCOMP: they differ in their type only.
type Ack struct {
	Type   Type // TypePuback, TypePubrec, TypePubrel or TypePubcomp
	ID     uint16
	Reason Reason // always Success in 3.1.1
	Props  Properties
}

// Decode reads any of the four in place and sets Type; p is undefined after an error.
// In 5.0 the reason (Success) and the property length (0) may be missing at the end.
func (p *Ack) Decode(f Frame, v Version) error {
	if !isAck(f.Type) {
		return Errorf(ProtocolError, "got %s, want an acknowledgement", f.Type)
	}
	r := open(f, f.Type, v)
	p.Type, p.ID, p.Reason = f.Type, r.id(), Success
	p.Props.Reset()
	if v == V5 && len(r.b) > 0 { // sections 3.4.2.1, 3.5.2.1, 3.6.2.1, 3.7.2.1
		p.Reason = r.reason()
		if len(r.b) > 0 {
			p.Props.decode(&r, 1<<f.Type, v)
		}
	}
	return r.close()
}

// Append appends the packet in its shortest form; dst is unchanged on error. In 3.1.1 the reason and Props are left out:
// a refusal cannot be told there [MQTT-3.3.5-2].
func (p *Ack) Append(dst []byte, v Version) ([]byte, error) {
	if !isAck(p.Type) {
		return dst, Errorf(ProtocolError, "%s is no acknowledgement", p.Type)
	}
	s := size(p.Type, v)
	s.id(p.ID)
	block, full := -1, v == V5 && (p.Reason != Success || !p.Props.Empty())
	if full {
		s.reason(p.Reason)
		if !p.Props.Empty() {
			block = s.props(&p.Props, 1<<p.Type)
		}
	}
	flags := byte(0)
	if p.Type == TypePubrel { // [MQTT-3.6.1-1]
		flags = 0b0010
	}
	dst, err := s.begin(dst, flags)
	if err != nil {
		return dst, err
	}
	dst = appendUint16(dst, p.ID) // v5 [MQTT-2.2.1-5], 3.1.1 [MQTT-2.3.1-6]
	if full {
		dst = append(dst, byte(p.Reason))
	}
	return p.Props.append(dst, block), nil
}

func isAck(t Type) bool { return t >= TypePuback && t <= TypePubcomp }
