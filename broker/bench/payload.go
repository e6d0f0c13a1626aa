package bench

import (
	"encoding/binary"

	"weir/broker/packet"
)

// payloadHead is the part of a payload that is not filler.
const payloadHead = 24

// mark is what a payload says.
type mark struct {
	run, publisher uint32
	sequence       uint64
	stamp          int64
}

// put writes a mark over the head of a payload.
func (m mark) put(payload []byte) {
	binary.BigEndian.PutUint32(payload, m.run)
	binary.BigEndian.PutUint32(payload[4:], m.publisher)
	binary.BigEndian.PutUint64(payload[8:], m.sequence)
	binary.BigEndian.PutUint64(payload[16:], uint64(m.stamp))
}

// markOf reads a mark; payload has at least payloadHead bytes.
func markOf(payload []byte) mark {
	return mark{
		run: binary.BigEndian.Uint32(payload), publisher: binary.BigEndian.Uint32(payload[4:]),
		sequence: binary.BigEndian.Uint64(payload[8:]), stamp: int64(binary.BigEndian.Uint64(payload[16:])),
	}
}

// template is an encoded PUBLISH, of which copies are patched.
type template struct {
	bytes   []byte
	id      int // where the packet id stands; 0: QoS 0, there is none
	payload int // where the payload begins
}

// newTemplate encodes a message of publisher to topic.
func (r *run) newTemplate(topic string, qos byte, retain bool, publisher, size int) (template, error) {
	p := packet.Publish{Topic: []byte(topic), QoS: qos, Retain: retain, Payload: make([]byte, size)}
	if qos > 0 {
		p.ID = 1
	}
	for i := range p.Payload {
		p.Payload[i] = 'x'
	}
	if size >= payloadHead {
		mark{run: r.number, publisher: uint32(publisher)}.put(p.Payload)
	}
	b, err := p.Append(nil, r.o.Version)
	if err != nil {
		return template{}, err
	}
	t := template{bytes: b, payload: len(b) - size}
	if qos > 0 {
		t.id = t.payload - 2
		if r.o.Version == packet.V5 {
			t.id-- // the length of the properties, 0, is between id and payload
		}
	}
	return t, nil
}

// append adds a copy with this id, sequence and stamp.
func (t *template) append(dst []byte, id uint16, sequence uint64, stamp int64) []byte {
	at := len(dst)
	dst = append(dst, t.bytes...)
	b := dst[at:]
	if t.id > 0 {
		binary.BigEndian.PutUint16(b[t.id:], id)
	}
	binary.BigEndian.PutUint64(b[t.payload+8:], sequence)
	binary.BigEndian.PutUint64(b[t.payload+16:], uint64(stamp))
	return dst
}

// appendEmpty adds a copy that has no payload.
func (t *template) appendEmpty(dst []byte, id uint16) []byte {
	at := len(dst)
	dst = append(dst, t.bytes...)
	binary.BigEndian.PutUint16(dst[at+t.id:], id)
	return dst
}
