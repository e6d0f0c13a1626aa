package packet

// Disconnect is the last packet of a connection. In 3.1.1 it is empty, and only clients send it.
type Disconnect struct {
	Reason Reason // always NormalDisconnection in 3.1.1
	Props  Properties
}

// Decode reads a DISCONNECT in place; p is undefined after an error.
// In 5.0 the reason (NormalDisconnection) and the property length (0) may be missing at the end.
func (p *Disconnect) Decode(f Frame, v Version) error {
	r := open(f, TypeDisconnect, v)
	p.Reason = NormalDisconnection
	p.Props.Reset()
	if v == V5 && len(r.b) > 0 { // section 3.14.2.1
		p.Reason = r.reason()
		if len(r.b) > 0 { // section 3.14.2.2.1
			p.Props.decode(&r, inDisconnect, v)
		}
	}
	return r.close()
}

// Append appends the packet in its shortest form; dst is unchanged on error. In 3.1.1 the reason and Props are left out.
// A server leaves SessionExpiry unset [MQTT-3.14.2-2]: the codec does not know which side it is on.
func (p *Disconnect) Append(dst []byte, v Version) ([]byte, error) {
	s := size(TypeDisconnect, v)
	block, full := -1, v == V5 && (p.Reason != NormalDisconnection || !p.Props.Empty())
	if full {
		s.reason(p.Reason)
		if !p.Props.Empty() {
			block = s.props(&p.Props, inDisconnect)
		}
	}
	dst, err := s.begin(dst, 0) // [MQTT-3.14.1-1]
	if err != nil {
		return dst, err
	}
	if full {
		dst = append(dst, byte(p.Reason))
	}
	return p.Props.append(dst, block), nil
}
