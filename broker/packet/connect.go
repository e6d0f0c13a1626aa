package packet

// The flags of CONNECT: MQTT 5.0 section 3.1.2.3, the same in 3.1.1.
const (
	connectReserved   = 0b0000_0001
	connectCleanStart = 0b0000_0010
	connectWill       = 0b0000_0100
	connectWillQoS    = 0b0001_1000
	connectWillRetain = 0b0010_0000
	connectPassword   = 0b0100_0000
	connectUsername   = 0b1000_0000
)

// Connect is the first packet of a connection. Never print it whole: it holds the password.
type Connect struct {
	Version     Version // set by Decode; Append writes its own argument
	Bridge      bool    // 3.1.1 with the highest bit of the level set, as mosquitto's bridges say what they are; not in the standard
	CleanStart  bool    // Clean Session in 3.1.1
	KeepAlive   uint16  // seconds; 0: off
	ClientID    []byte  // may be empty; whether that is allowed is for the server: 3.1.1 [MQTT-3.1.3-8]
	HasWill     bool
	Will        Will // meaningless without HasWill
	HasUsername bool
	HasPassword bool // in 3.1.1 only with HasUsername
	Username    []byte
	Password    []byte
	Props       Properties
}

// Will is the message the server publishes for a client that is gone.
type Will struct {
	QoS     byte // 0, 1 or 2
	Retain  bool
	Topic   []byte
	Payload []byte // at most 65535 bytes
	Props   Properties
}

var protocolName = [...]byte{0, 4, 'M', 'Q', 'T', 'T'}

// bridgeLevel is set in the protocol level of a bridge.
const bridgeLevel = 0x80

// Decode reads a CONNECT of either version in place; its second argument is not looked at. p is undefined after an error,
// but for Version: with the reason UnsupportedProtocolVersion it holds the level the client asked for (3 for MQTT 3.1
// and its other protocol name), which tells in which form to answer; 0 if it was cut off.
func (p *Connect) Decode(f Frame, _ Version) error {
	r := open(f, TypeConnect, V311) // whichever it is will be seen
	*p = Connect{Props: p.Props, Will: Will{Props: p.Will.Props}}
	p.decodeProtocol(&r)
	if p.Version == V5 {
		r.shortest(f)
	}
	flags := r.byte("connect flags")
	p.KeepAlive = r.uint16("keep alive")
	p.checkFlags(&r, flags)
	p.CleanStart = flags&connectCleanStart != 0
	p.Props.decode(&r, inConnect, p.Version)

	p.ClientID = r.text("client id")    // the order of the payload: [MQTT-3.1.3-1] [MQTT-3.1.3-3] [MQTT-3.1.3-4]
	p.HasWill = flags&connectWill != 0  // v5 [MQTT-3.1.2-9], 3.1.1 [MQTT-3.1.2-9] [MQTT-3.1.2-11]
	p.Will.decode(&r, flags, p.Version) //
	p.HasUsername = flags&connectUsername != 0
	if p.HasUsername { // v5 [MQTT-3.1.2-16] [MQTT-3.1.2-17], 3.1.1 [MQTT-3.1.2-18] [MQTT-3.1.2-19]
		p.Username = r.text("user name") // v5 [MQTT-3.1.3-12], 3.1.1 [MQTT-3.1.3-11]
	}
	p.HasPassword = flags&connectPassword != 0
	if p.HasPassword { // v5 [MQTT-3.1.2-18] [MQTT-3.1.2-19], 3.1.1 [MQTT-3.1.2-20] [MQTT-3.1.2-21]
		p.Password = r.binary("password")
	}
	return r.close() // v5 [MQTT-3.1.4-1], 3.1.1 [MQTT-3.1.4-1]
}

// decodeProtocol reads the protocol name and level.
func (p *Connect) decodeProtocol(r *reader) {
	name := r.binary("protocol name")
	level := r.byte("protocol level")
	if r.err != nil {
		return
	}
	p.Version = Version(level)
	if p.Version == V311|bridgeLevel {
		p.Version, p.Bridge = V311, true
	}
	switch {
	case string(name) != "MQTT": // v5 [MQTT-3.1.2-1], 3.1.1 [MQTT-3.1.2-1]
		r.fail(UnsupportedProtocolVersion, "protocol name %.10q, want \"MQTT\"", name)
	case p.Version != V311 && p.Version != V5: // v5 [MQTT-3.1.2-2], 3.1.1 [MQTT-3.1.2-2]
		r.fail(UnsupportedProtocolVersion, "protocol level %d, want 4 or 5", level)
	}
}

// checkFlags judges the connect flags.
func (p *Connect) checkFlags(r *reader, flags byte) {
	switch {
	case flags&connectReserved != 0: // [MQTT-3.1.2-3]
		r.fail(MalformedPacket, "reserved connect flag set")
	case flags&connectWillQoS == connectWillQoS: // v5 [MQTT-3.1.2-12], 3.1.1 [MQTT-3.1.2-14]
		r.fail(MalformedPacket, "will qos 3")
	case flags&connectWill == 0 && flags&connectWillQoS != 0: // v5 [MQTT-3.1.2-11], 3.1.1 [MQTT-3.1.2-11] [MQTT-3.1.2-13]
		r.fail(MalformedPacket, "will qos without a will")
	case flags&connectWill == 0 && flags&connectWillRetain != 0: // v5 [MQTT-3.1.2-13], 3.1.1 [MQTT-3.1.2-11] [MQTT-3.1.2-15]
		r.fail(MalformedPacket, "will retain without a will")
	case p.Version == V311 && flags&connectPassword != 0 && flags&connectUsername == 0: // 3.1.1 [MQTT-3.1.2-22]
		r.fail(MalformedPacket, "password without a user name")
	}
}

func (w *Will) decode(r *reader, flags byte, v Version) {
	if flags&connectWill == 0 {
		w.Props.Reset()
		return
	}
	w.QoS, w.Retain = flags&connectWillQoS>>3, flags&connectWillRetain != 0
	w.Props.decode(r, inWill, v)
	w.Topic = r.text("will topic") // v5 [MQTT-3.1.3-11], 3.1.1 [MQTT-3.1.3-10]
	w.Payload = r.binary("will payload")
}

// Append appends the packet as version v; dst is unchanged on error. In 3.1.1 the properties are left out.
func (p *Connect) Append(dst []byte, v Version) ([]byte, error) {
	s := size(TypeConnect, v)
	s.n = len(protocolName) + 1 + 1 + 2
	block := s.props(&p.Props, inConnect)
	s.text("client id", p.ClientID)
	will := -1
	if p.HasWill {
		will = p.Will.size(&s)
	}
	if p.HasUsername {
		s.text("user name", p.Username)
	}
	if p.HasPassword {
		s.binary("password", p.Password)
		if v == V311 && !p.HasUsername { // 3.1.1 [MQTT-3.1.2-22]
			s.fail(MalformedPacket, "password without a user name")
		}
	}
	dst, err := s.begin(dst, 0)
	if err != nil {
		return dst, err
	}
	dst = append(dst, protocolName[:]...)
	level := byte(v)
	if p.Bridge && v == V311 {
		level |= bridgeLevel
	}
	dst = append(dst, level, p.flags())
	dst = appendUint16(dst, p.KeepAlive)
	dst = p.Props.append(dst, block)
	return p.appendPayload(dst, will), nil
}

// appendPayload writes the fields in the order of the standard [MQTT-3.1.3-1].
func (p *Connect) appendPayload(dst []byte, willBlock int) []byte {
	dst = appendBinary(dst, p.ClientID)
	if p.HasWill {
		dst = p.Will.Props.append(dst, willBlock)
		dst = appendBinary(dst, p.Will.Topic)
		dst = appendBinary(dst, p.Will.Payload)
	}
	if p.HasUsername {
		dst = appendBinary(dst, p.Username)
	}
	if p.HasPassword {
		dst = appendBinary(dst, p.Password)
	}
	return dst
}

func (w *Will) size(s *sizer) (block int) {
	if w.QoS > 2 {
		s.fail(MalformedPacket, "will qos %d", w.QoS)
	}
	block = s.props(&w.Props, inWill)
	s.text("will topic", w.Topic)
	s.binary("will payload", w.Payload)
	return block
}

func (p *Connect) flags() (flags byte) {
	set := func(bit byte, on bool) {
		if on {
			flags |= bit
		}
	}
	set(connectCleanStart, p.CleanStart)
	set(connectWill, p.HasWill)
	set(connectWillRetain, p.HasWill && p.Will.Retain)
	set(connectUsername, p.HasUsername)
	set(connectPassword, p.HasPassword)
	if p.HasWill {
		flags |= p.Will.QoS << 3
	}
	return flags
}
