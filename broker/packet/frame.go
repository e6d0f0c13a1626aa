package packet

// maxLength is the largest remaining length four bytes can say: MQTT 5.0 section 1.5.5, 3.1.1 section 2.2.3.
const maxLength = 268_435_455

// Frame is one whole control packet inside a read buffer. Body is what follows the fixed header, and aliases that buffer.
type Frame struct {
	Type  Type
	Flags byte // the lower half of the first byte
	Long  bool // its remaining length was written with more bytes than it needs, which 5.0 forbids
	Body  []byte
}

// Next finds the packet at the start of buf; n is how many bytes it takes, fixed header included.
// n == 0 with a nil error means that more bytes are needed. limit is the largest whole packet accepted, in bytes,
// 0 for the protocol's own limit of 268435460; it is enforced as soon as the length can be read, before the rest arrives.
// The type and the flags are judged from the first byte alone. The error is always an *Error, and the stream is
// unusable after one. Nothing is allocated.
//
// A remaining length of up to four bytes is taken even if it could be shorter: the version is not known here, and
// 3.1.1 does not ask for the shortest form. Decode refuses it in 5.0.
func Next(buf []byte, limit int) (f Frame, n int, err error) {
	if len(buf) == 0 {
		return Frame{}, 0, nil
	}
	f.Type, f.Flags = Type(buf[0]>>4), buf[0]&0x0F
	if err := checkFlags(f.Type, f.Flags); err != nil {
		return Frame{}, 0, err
	}
	length := 0
	for i := 1; i <= 4; i++ {
		if i == len(buf) {
			return Frame{}, 0, nil
		}
		length |= int(buf[i]&0x7F) << (7 * (i - 1))
		if buf[i]&0x80 != 0 {
			continue
		}
		n, f.Long = 1+i+length, i > 1 && buf[i] == 0
		if limit > 0 && n > limit { // [MQTT-3.2.2-15]
			return Frame{}, 0, Errorf(PacketTooLarge, "%s of %d bytes, want at most %d", f.Type, n, limit)
		}
		if len(buf) < n {
			return Frame{}, 0, nil
		}
		f.Body = buf[1+i : n : n]
		return f, n, nil
	}
	return Frame{}, 0, Errorf(MalformedPacket, "%s: remaining length of more than 4 bytes", f.Type) // [MQTT-1.5.5-1]
}

// checkFlags judges the first byte of a packet.
func checkFlags(t Type, flags byte) error {
	want := byte(0)
	switch t {
	case TypePublish:
		return checkPublishFlags(flags)
	case TypePubrel, TypeSubscribe, TypeUnsubscribe: // [MQTT-3.6.1-1] [MQTT-3.8.1-1] [MQTT-3.10.1-1]
		want = 0b0010
	case 0:
		return Errorf(MalformedPacket, "%s", t) // section 2.1.2: forbidden
	}
	if flags != want { // v5 [MQTT-2.1.3-1] [MQTT-3.14.1-1] [MQTT-3.15.1-1], 3.1.1 [MQTT-2.2.2-1] [MQTT-2.2.2-2] [MQTT-3.14.1-1]
		return Errorf(MalformedPacket, "%s: flags %04b, want %04b", t, flags, want)
	}
	return nil
}

func checkPublishFlags(flags byte) error {
	switch qos := flags >> 1 & 3; {
	case qos == 3: // [MQTT-3.3.1-4]
		return Errorf(MalformedPacket, "%s: qos 3", TypePublish)
	case qos == 0 && flags&flagDup != 0: // [MQTT-3.3.1-2]
		return Errorf(MalformedPacket, "%s: dup set with qos 0", TypePublish)
	}
	return nil
}
