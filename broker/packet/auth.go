package packet

// Auth carries one step of an authentication exchange. 5.0 only.
type Auth struct {
	Reason Reason // Success, ContinueAuthentication or ReAuthenticate
	Props  Properties
}

// Decode reads an AUTH in place; p is undefined after an error. An empty body stands for Success without properties;
// every other AUTH names its method. That the method is the one of the CONNECT is for the server [MQTT-4.12.0-5].
func (p *Auth) Decode(f Frame, v Version) error {
	r := open(f, TypeAuth, v)
	p.Reason = Success
	p.Props.Reset()
	if v == V311 { // 3.1.1 table 2.1: type 15 is forbidden
		r.fail(ProtocolError, "not in 3.1.1")
	}
	if len(r.b) > 0 { // section 3.15.2.1
		p.Reason = r.reason()
		p.Props.decode(&r, inAuth, v)
	}
	if r.err == nil && p.lacksMethod() {
		r.fail(ProtocolError, "no authentication method")
	}
	return r.close()
}

// lacksMethod tells whether the method is missing in other than the empty form (section 3.15.2.2.2).
func (p *Auth) lacksMethod() bool {
	return !p.Props.Has(PropAuthMethod) && !(p.Reason == Success && p.Props.Empty())
}

// Append appends the packet in its shortest form; dst is unchanged on error. It is an error in 3.1.1.
func (p *Auth) Append(dst []byte, v Version) ([]byte, error) {
	s := size(TypeAuth, v)
	if v == V311 {
		s.fail(ProtocolError, "not in 3.1.1")
	}
	if p.lacksMethod() {
		s.fail(ProtocolError, "no authentication method")
	}
	block, full := -1, p.Reason != Success || !p.Props.Empty()
	if full {
		s.reason(p.Reason) // [MQTT-3.15.2-1]
		block = s.props(&p.Props, inAuth)
	}
	dst, err := s.begin(dst, 0) // [MQTT-3.15.1-1]
	if err != nil {
		return dst, err
	}
	if full {
		dst = append(dst, byte(p.Reason))
	}
	return p.Props.append(dst, block), nil
}
