package packet

// The flags of PUBLISH: MQTT 5.0 section 3.3.1, the same in 3.1.1.
const (
	flagDup    = 0b1000
	flagRetain = 0b0001
)

// Publish carries an application message. The topic name is checked for well-formed UTF-8 only; wildcards are for package
// topic. An empty topic is accepted in 5.0 together with a topic alias.
type Publish struct {
	Dup     bool   // sent before; never with QoS 0
	QoS     byte   // 0, 1 or 2
	Retain  bool   // the server is to keep it, or kept it
	ID      uint16 // with QoS 1 and 2, never 0 then; ignored by Append and zero after Decode with QoS 0
	Topic   []byte
	Payload []byte
	Props   Properties
}

// Decode reads a PUBLISH in place: Topic, Payload and Props alias f.Body. It allocates nothing, but for the lists of user
// properties and subscription identifiers when p has less room than they need. p is undefined after an error.
func (p *Publish) Decode(f Frame, v Version) error {
	r := open(f, TypePublish, v)
	p.Dup, p.QoS, p.Retain = f.Flags&flagDup != 0, f.Flags>>1&3, f.Flags&flagRetain != 0
	p.Topic = r.text("topic name") // [MQTT-3.3.2-1]
	p.ID = 0
	if p.QoS > 0 { // v5 [MQTT-2.2.1-2], 3.1.1 [MQTT-2.3.1-5]
		p.ID = r.id()
	}
	p.Props.decode(&r, inPublish, v)
	if r.err == nil && len(p.Topic) == 0 && !p.Props.Has(PropTopicAlias) { // v5 section 3.3.2.1, 3.1.1 [MQTT-4.7.3-1]
		r.fail(ProtocolError, "empty topic name without an alias")
	}
	p.Payload = r.b
	return r.err
}

// Append appends the whole packet. It allocates nothing when dst has room for it, and dst is unchanged on error.
// In 3.1.1 Props is left out.
func (p *Publish) Append(dst []byte, v Version) ([]byte, error) {
	dst, err := p.appendHead(dst, v, len(p.Payload))
	if err != nil {
		return dst, err
	}
	return append(dst, p.Payload...), nil
}

// AppendHead appends the packet without its payload, whose length it counts: head and payload written one after the
// other are the packet. For large payloads that are shared, and for records that keep the two apart.
func (p *Publish) AppendHead(dst []byte, v Version) ([]byte, error) {
	return p.appendHead(dst, v, 0)
}

func (p *Publish) appendHead(dst []byte, v Version, room int) ([]byte, error) {
	s := size(TypePublish, v)
	flags := p.flags()
	if p.QoS > 2 {
		s.fail(MalformedPacket, "qos %d", p.QoS) // [MQTT-3.3.1-4]
	} else if err := checkPublishFlags(flags); err != nil {
		s.err = err
	}
	s.text("topic name", p.Topic)
	if p.QoS > 0 {
		s.id(p.ID)
	}
	block := s.props(&p.Props, inPublish)
	if len(p.Topic) == 0 && (v != V5 || !p.Props.Has(PropTopicAlias)) {
		s.fail(ProtocolError, "empty topic name without an alias")
	}
	dst, err := s.beginHead(dst, flags, len(p.Payload), room)
	if err != nil {
		return dst, err
	}
	dst = appendBinary(dst, p.Topic)
	if p.QoS > 0 {
		dst = appendUint16(dst, p.ID)
	}
	return p.Props.append(dst, block), nil
}

func (p *Publish) flags() byte {
	flags := p.QoS << 1
	if p.Dup {
		flags |= flagDup
	}
	if p.Retain {
		flags |= flagRetain
	}
	return flags
}
