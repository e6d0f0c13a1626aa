package message

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"weir/broker/packet"
)

// A Message is a PUBLISH on its way through a gateway. Its slices belong to
// whoever made it: a read buffer, a log, or the message itself after Clone. ID and
// Dup of the embedded PUBLISH mean nothing here.
type Message struct {
	Stamp  Stamp
	Origin []byte // client id of the publisher; empty: weir itself
	Hops   uint8  // gateways passed so far
	packet.Publish
}

const (
	version    = 1
	flagsQoS   = 0b11 // bits of flags that hold the QoS
	fixedSize  = 1 + 1 + 1 + 8 + 2
	maxQoS     = 2
	publishDup = 0b1000 // bits of the PUBLISH flags (5.0, 3.3.1)
	publishQoS = 0b0110
)

// ErrVersion is wrapped by the error of Decode for a record that a newer version
// of the program wrote.
var ErrVersion = errors.New("record of an unknown version")

// AppendHead appends everything of the record body but the payload: the body is
// dst's new bytes followed by m.Payload. It fails, leaving dst as it was, if the
// message cannot be stored: an empty topic, a QoS above 2, an origin above 65535
// bytes, or what the codec refuses to write. It allocates only to grow dst.
func (m *Message) AppendHead(dst []byte) ([]byte, error) {
	switch {
	case len(m.Topic) == 0:
		return dst, errors.New("message without a topic cannot be stored")
	case m.QoS > maxQoS:
		return dst, fmt.Errorf("message with QoS %d cannot be stored, want 0 to 2", m.QoS)
	case len(m.Origin) > math.MaxUint16:
		return dst, fmt.Errorf("message with an origin of %d bytes cannot be stored, limit %d", len(m.Origin), math.MaxUint16)
	}
	head := append(dst, version, m.QoS, m.Hops)
	head = binary.BigEndian.AppendUint64(head, uint64(m.Stamp.Wall))
	head = binary.BigEndian.AppendUint16(head, uint16(len(m.Origin)))
	head = append(head, m.Origin...)

	stored := m.Publish
	stored.Dup, stored.QoS, stored.ID = false, 0, 0
	stored.Props.SubscriptionIDs = nil
	stored.Props.Unset(packet.PropTopicAlias)
	head, err := stored.AppendHead(head, packet.V5)
	if err != nil {
		return dst, fmt.Errorf("message cannot be stored: %w", err)
	}
	return head, nil
}

// Decode reads a record body in place: slices alias it, and the property lists of
// m are used again. It sets everything but Stamp.Boot and Stamp.Since. After an
// error m holds nothing of use. It allocates nothing once the lists have grown.
func (m *Message) Decode(body []byte) error {
	if len(body) == 0 {
		return errors.New("record body is empty")
	}
	if body[0] != version {
		return fmt.Errorf("%w: %d, want %d", ErrVersion, body[0], version)
	}
	if len(body) < fixedSize {
		return fmt.Errorf("record body of %d bytes, want at least %d", len(body), fixedSize)
	}
	flags := body[1]
	qos := flags & flagsQoS
	if flags&^flagsQoS != 0 || qos > maxQoS {
		return fmt.Errorf("record flags %#02x, want QoS 0 to 2 and nothing else", flags)
	}
	n := int(binary.BigEndian.Uint16(body[11:]))
	if rest := len(body) - fixedSize; n > rest {
		return fmt.Errorf("record origin of %d bytes, but %d are left", n, rest)
	}
	if err := m.decodePublish(body[fixedSize+n:]); err != nil {
		return err
	}
	m.QoS = qos
	m.Hops = body[2]
	m.Stamp.Wall = int64(binary.BigEndian.Uint64(body[3:]))
	m.Origin = body[fixedSize : fixedSize+n : fixedSize+n]
	return nil
}

// decodePublish reads the packet at the end of a record.
func (m *Message) decodePublish(b []byte) error {
	frame, n, err := packet.Next(b, 0)
	switch {
	case err != nil:
		return fmt.Errorf("packet in record: %w", err)
	case n == 0:
		return fmt.Errorf("packet in record is cut off after %d bytes", len(b))
	case n != len(b):
		return fmt.Errorf("packet in record has %d bytes, but %d are there", n, len(b))
	case frame.Type != packet.TypePublish:
		return fmt.Errorf("packet in record is %s, want PUBLISH", frame.Type)
	case frame.Flags&(publishDup|publishQoS) != 0:
		return fmt.Errorf("packet in record has flags %#x, want QoS 0 and no DUP", frame.Flags)
	}
	if err := m.Publish.Decode(frame, packet.V5); err != nil {
		return fmt.Errorf("packet in record: %w", err)
	}
	switch {
	case len(m.Topic) == 0:
		return errors.New("packet in record has no topic")
	case m.Props.Has(packet.PropTopicAlias) || m.Props.Has(packet.PropSubscriptionID):
		return errors.New("packet in record has a topic alias or subscription identifier")
	}
	return nil
}
