package packet

// Connack is the server's answer to CONNECT.
type Connack struct {
	SessionPresent bool // never with a failure
	Reason         Reason
	Props          Properties
}

// returnCodes are the reasons 3.1.1 can say, at the place of their return code: 3.1.1 table 3.1.
var returnCodes = [...]Reason{
	0: Success,
	1: UnsupportedProtocolVersion,
	2: ClientIdentifierNotValid,
	3: ServerUnavailable,
	4: BadUserNameOrPassword,
	5: NotAuthorized,
}

// returnCode finds the 3.1.1 return code for a reason; ok is false when none fits.
func returnCode(r Reason) (code byte, ok bool) {
	switch r {
	case ServerBusy, ServerShuttingDown, QuotaExceeded, UseAnotherServer, ServerMoved, ConnectionRateExceeded:
		r = ServerUnavailable
	case Banned, BadAuthenticationMethod:
		r = NotAuthorized
	}
	for code, known := range returnCodes {
		if r == known {
			return byte(code), true
		}
	}
	return 0, false
}

// Decode reads a CONNACK in place. The 3.1.1 return codes 1 to 5 become the 5.0 reasons of the same meaning.
// p is undefined after an error.
func (p *Connack) Decode(f Frame, v Version) error {
	r := open(f, TypeConnack, v)
	flags := r.byte("acknowledge flags")
	if r.err == nil && flags&^1 != 0 { // v5 [MQTT-3.2.2-1]; 3.1.1 section 3.2.2.1
		r.fail(MalformedPacket, "acknowledge flags %08b", flags)
	}
	p.SessionPresent = flags&1 != 0
	if v == V5 {
		p.Reason = r.reason()
	} else {
		p.decodeReturnCode(&r)
	}
	if r.err == nil && p.SessionPresent && p.Reason != Success { // v5 [MQTT-3.2.2-6], 3.1.1 [MQTT-3.2.2-4]
		r.fail(ProtocolError, "session present with %s", p.Reason)
	}
	p.Props.decode(&r, inConnack, v)
	return r.close()
}

func (p *Connack) decodeReturnCode(r *reader) {
	code := r.byte("return code")
	if int(code) >= len(returnCodes) {
		r.fail(ProtocolError, "return code %d, want 0 to 5", code)
		return
	}
	p.Reason = returnCodes[code]
}

// Append appends the packet; dst is unchanged on error. In 3.1.1 Props is left out, and a reason without a return code
// of the same or a wider meaning is an error: the connection is then closed without an answer: 3.1.1 [MQTT-3.2.2-6].
func (p *Connack) Append(dst []byte, v Version) ([]byte, error) {
	s := size(TypeConnack, v)
	s.n = 1
	code := byte(p.Reason)
	if v == V5 {
		s.reason(p.Reason) // [MQTT-3.2.2-8]
	} else {
		var ok bool
		if code, ok = returnCode(p.Reason); !ok { // 3.1.1 [MQTT-3.2.2-6]
			s.fail(p.Reason, "no 3.1.1 return code fits")
		}
		s.n++
	}
	flags := byte(0)
	if p.SessionPresent {
		flags = 1
		if p.Reason != Success { // v5 [MQTT-3.2.2-6], 3.1.1 [MQTT-3.2.2-4]
			s.fail(ProtocolError, "session present with %s", p.Reason)
		}
	}
	block := s.props(&p.Props, inConnack)
	dst, err := s.begin(dst, 0)
	if err != nil {
		return dst, err
	}
	return p.Props.append(append(dst, flags, code), block), nil
}
