package packet

import "bytes"

// The subscription options: MQTT 5.0 section 3.8.3.1. 3.1.1 has the QoS only.
const (
	optionQoS               = 0b0000_0011
	optionNoLocal           = 0b0000_0100
	optionRetainAsPublished = 0b0000_1000
	optionRetainHandling    = 0b0011_0000
	optionReserved          = 0b1100_0000
)

// Subscribe asks for the messages of one or more topic filters.
type Subscribe struct {
	ID      uint16
	Props   Properties // at most one subscription identifier
	Filters []Subscription
}

// Subscription is one topic filter of a SUBSCRIBE and its options; the options but QoS are 5.0 only.
// The filter is checked for well-formed UTF-8 only; its shape is for package topic.
type Subscription struct {
	Filter            []byte
	QoS               byte // the most wanted: 0, 1 or 2
	NoLocal           bool // not what the subscriber itself published; never on a shared subscription
	RetainAsPublished bool // keep the retain flag of messages
	RetainHandling    byte // retained messages: 0 send, 1 send if the subscription is new, 2 do not send
}

// Decode reads a SUBSCRIBE in place; the room of p.Filters is reused. p is undefined after an error.
func (p *Subscribe) Decode(f Frame, v Version) error {
	r := open(f, TypeSubscribe, v)
	p.ID = r.id()
	p.Props.decode(&r, inSubscribe, v)
	p.Filters = p.Filters[:0]
	if r.err == nil && len(r.b) == 0 { // v5 [MQTT-3.8.3-2], 3.1.1 [MQTT-3.8.3-3]
		r.fail(ProtocolError, "no topic filter")
	}
	for len(r.b) > 0 {
		sub := Subscription{Filter: r.text("topic filter")} // [MQTT-3.8.3-1]
		sub.decodeOptions(&r, v)
		if r.err == nil {
			p.Filters = append(p.Filters, sub)
		}
	}
	return r.close()
}

func (s *Subscription) decodeOptions(r *reader, v Version) {
	b := r.byte("subscription options")
	s.QoS = b & optionQoS
	s.NoLocal, s.RetainAsPublished = b&optionNoLocal != 0, b&optionRetainAsPublished != 0
	s.RetainHandling = b & optionRetainHandling >> 4
	if b&optionReserved != 0 { // v5 [MQTT-3.8.3-5], 3.1.1 [MQTT-3.8.3-4]
		r.fail(MalformedPacket, "subscription options %08b: reserved bits set", b)
	}
	if reason, text := s.wrong(v); text != "" {
		r.fail(reason, "%s", text)
	}
}

// wrong judges the options of one subscription; text is empty when they are fine.
func (s *Subscription) wrong(v Version) (reason Reason, text string) {
	switch {
	case v == V311 && (s.QoS > 2 || s.NoLocal || s.RetainAsPublished || s.RetainHandling != 0): // 3.1.1 [MQTT-3.8.3-4]
		return MalformedPacket, "options but a qos of 0 to 2 are reserved"
	case s.QoS > 2: // v5 section 3.8.3.1
		return ProtocolError, "qos 3 asked for"
	case s.RetainHandling > 2: // v5 section 3.8.3.1
		return ProtocolError, "retain handling 3"
	case s.NoLocal && bytes.HasPrefix(s.Filter, []byte("$share/")): // v5 [MQTT-3.8.3-4]
		return ProtocolError, "no local on a shared subscription"
	}
	return Success, ""
}

// Append appends the packet; dst is unchanged on error. In 3.1.1 Props is left out and options but QoS are an error.
func (p *Subscribe) Append(dst []byte, v Version) ([]byte, error) {
	s := size(TypeSubscribe, v)
	s.id(p.ID)
	block := s.props(&p.Props, inSubscribe)
	if len(p.Filters) == 0 { // v5 [MQTT-3.8.3-2], 3.1.1 [MQTT-3.8.3-3]
		s.fail(ProtocolError, "no topic filter")
	}
	for i := range p.Filters {
		s.text("topic filter", p.Filters[i].Filter)
		s.n++
		if reason, text := p.Filters[i].wrong(v); text != "" {
			s.fail(reason, "%s", text)
		}
	}
	dst, err := s.begin(dst, 0b0010) // [MQTT-3.8.1-1]
	if err != nil {
		return dst, err
	}
	dst = appendUint16(dst, p.ID)
	dst = p.Props.append(dst, block)
	for i := range p.Filters {
		dst = appendBinary(dst, p.Filters[i].Filter)
		dst = append(dst, p.Filters[i].options())
	}
	return dst, nil
}

func (s *Subscription) options() byte {
	b := s.QoS | s.RetainHandling<<4
	if s.NoLocal {
		b |= optionNoLocal
	}
	if s.RetainAsPublished {
		b |= optionRetainAsPublished
	}
	return b
}

// Suback answers a SUBSCRIBE: one reason for each filter, in the same order.
type Suback struct {
	ID      uint16
	Props   Properties
	Reasons []Reason // the granted QoS or a failure; in 3.1.1 every failure is written as 0x80
}

// Decode reads a SUBACK in place; the room of p.Reasons is reused. p is undefined after an error.
func (p *Suback) Decode(f Frame, v Version) error {
	r := open(f, TypeSuback, v)
	p.ID = r.id()
	p.Props.decode(&r, inSuback, v)
	p.Reasons = r.reasons(p.Reasons[:0], v)
	return r.close()
}

// Append appends the packet; dst is unchanged on error. In 3.1.1 Props is left out.
func (p *Suback) Append(dst []byte, v Version) ([]byte, error) {
	s := size(TypeSuback, v)
	s.id(p.ID) // v5 [MQTT-2.2.1-6] [MQTT-3.8.4-2], 3.1.1 [MQTT-2.3.1-7] [MQTT-3.8.4-2]
	block := s.props(&p.Props, inSuback)
	s.reasons(p.Reasons)
	dst, err := s.begin(dst, 0)
	if err != nil {
		return dst, err
	}
	dst = appendUint16(dst, p.ID)
	dst = p.Props.append(dst, block)
	for _, reason := range p.Reasons { // v5 [MQTT-3.9.3-1], 3.1.1 [MQTT-3.9.3-1]
		if v == V311 && reason.Failed() { // 3.1.1 [MQTT-3.9.3-2]
			reason = UnspecifiedError
		}
		dst = append(dst, byte(reason))
	}
	return dst, nil
}

// reasons reads the payload of SUBACK or UNSUBACK.
func (r *reader) reasons(dst []Reason, v Version) []Reason {
	if r.err == nil && len(r.b) == 0 {
		r.fail(ProtocolError, "no reason code")
	}
	for len(r.b) > 0 {
		reason := r.reason()
		if v == V311 && reason.Failed() && reason != UnspecifiedError { // 3.1.1 [MQTT-3.9.3-2]
			r.fail(ProtocolError, "return code 0x%02x, want 0, 1, 2 or 0x80", uint8(reason))
		}
		dst = append(dst, reason)
	}
	return dst
}

func (s *sizer) reasons(reasons []Reason) {
	if len(reasons) == 0 {
		s.fail(ProtocolError, "no reason code")
	}
	for _, reason := range reasons {
		s.reason(reason)
	}
}
