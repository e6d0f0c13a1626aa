package broker

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"weir/broker/message"
	"weir/broker/packet"
)

// Prefixes of keys in the Store. The package comment draws keys and values.
const (
	keySession = "session/"
	keySub     = "sub/"
	keyHeld    = "held/"
	keyRetain  = "retain/"
	keyGiven   = "given/"
)

// serial is the name of one life of a session: drawn at random, so never used again.
type serial uint64

func newSerial() serial {
	var b [8]byte
	rand.Read(b[:])
	return serial(binary.BigEndian.Uint64(b[:]))
}

// queue is the name of the session's queue.
func (n serial) queue() string { return fmt.Sprintf("%s%016x", keySession, uint64(n)) }

// key is a key of the session.
func (n serial) key(prefix string) string {
	return string(binary.BigEndian.AppendUint64([]byte(prefix), uint64(n)))
}

// keyOf is the serial in a key that begins with prefix, and what follows it.
func keyOf(prefix, key string) (n serial, rest string, ok bool) {
	if key = key[len(prefix):]; len(key) < 8 {
		return 0, "", false
	}
	return serial(binary.BigEndian.Uint64([]byte(key))), key[8:], true
}

func (n serial) sub(filter string) string { return n.key(keySub) + short(filter) }

func (n serial) held(id uint16) string {
	return string(binary.BigEndian.AppendUint16([]byte(n.key(keyHeld)), id))
}

func retainKey(name string) string { return keyRetain + short(name) }

// short makes a name fit a key: the value has the whole one.
func short(name string) string {
	const limit = 1000
	if len(name) <= limit {
		return "=" + name
	}
	sum := sha256.Sum256([]byte(name))
	return "#" + string(sum[:])
}

const keptVersion = 1

var errKept = errors.New("cut off, or of another version")

// kept is what is stored of a session itself.
type kept struct {
	protocol packet.Version
	lasts    time.Duration
	away     message.Stamp // when its connection was lost; zero: it was connected
	user, id []byte
	will     *will
}

const (
	keptWill  = 1
	keptFixed = 3 + 4 + 3*8 + 2 + 2
)

func (k *kept) append(b []byte) []byte {
	flags := byte(0)
	if k.will != nil {
		flags = keptWill
	}
	b = append(b, keptVersion, flags, byte(k.protocol))
	b = binary.BigEndian.AppendUint32(b, uint32(k.lasts/time.Second))
	b = binary.BigEndian.AppendUint64(b, k.away.Boot)
	b = binary.BigEndian.AppendUint64(b, uint64(k.away.Since))
	b = binary.BigEndian.AppendUint64(b, uint64(k.away.Wall))
	b = binary.BigEndian.AppendUint16(b, uint16(len(k.user)))
	b = binary.BigEndian.AppendUint16(b, uint16(len(k.id)))
	b = append(append(b, k.user...), k.id...)
	if k.will != nil {
		b = binary.BigEndian.AppendUint32(b, uint32(k.will.delay/time.Second))
		b = appendMessage(b, &k.will.message)
	}
	return b
}

// parseKept reads what append wrote; the result shares nothing with b.
func parseKept(b []byte) (k kept, err error) {
	if len(b) < keptFixed || b[0] != keptVersion {
		return k, errKept
	}
	k.protocol = packet.Version(b[2])
	k.lasts = time.Duration(binary.BigEndian.Uint32(b[3:])) * time.Second
	k.away = message.Stamp{
		Boot: binary.BigEndian.Uint64(b[7:]), Since: time.Duration(binary.BigEndian.Uint64(b[15:])), Wall: int64(binary.BigEndian.Uint64(b[23:])),
	}
	user, id := int(binary.BigEndian.Uint16(b[31:])), int(binary.BigEndian.Uint16(b[33:]))
	rest := b[keptFixed:]
	if len(rest) < user+id {
		return k, errKept
	}
	k.user, k.id = append([]byte(nil), rest[:user]...), append([]byte(nil), rest[user:user+id]...)
	rest = rest[user+id:]
	if b[1]&keptWill == 0 {
		return k, nil
	}
	if len(rest) < 4 {
		return k, errKept
	}
	w := &will{delay: time.Duration(binary.BigEndian.Uint32(rest)) * time.Second}
	if w.message, err = parseMessage(rest[4:]); err != nil {
		return k, fmt.Errorf("will: %w", err)
	}
	k.will = w
	return k, nil
}

// appendMessage writes a message: boot and time of its stamp, then the record body.
func appendMessage(b []byte, m *message.Message) []byte {
	at := len(b)
	if b = appendMessageHead(b, m); len(b) == at {
		return b
	}
	return append(b, m.Payload...)
}

// appendMessageHead writes all of it but the payload, and nothing of a message that has no record form; the broker lets
// none in.
func appendMessageHead(b []byte, m *message.Message) []byte {
	at := len(b)
	b = binary.BigEndian.AppendUint64(b, m.Stamp.Boot)
	b = binary.BigEndian.AppendUint64(b, uint64(m.Stamp.Since))
	b, err := m.AppendHead(b)
	if err != nil {
		return b[:at]
	}
	return b
}

// decodeMessage reads what appendMessage wrote in place: m refers to b.
func decodeMessage(b []byte, m *message.Message) error {
	if len(b) < 16 {
		return errKept
	}
	if err := m.Decode(b[16:]); err != nil {
		return err
	}
	m.Stamp.Boot, m.Stamp.Since = binary.BigEndian.Uint64(b), time.Duration(binary.BigEndian.Uint64(b[8:]))
	return nil
}

// parseMessage is decodeMessage; the result shares nothing with b.
func parseMessage(b []byte) (message.Message, error) {
	var m message.Message
	if err := decodeMessage(b, &m); err != nil {
		return message.Message{}, err
	}
	return m.Clone(), nil
}

// elapsed is how much of the time between two stamps certainly passed; 0 if that cannot be known.
func elapsed(from, to message.Stamp) time.Duration {
	switch {
	case from == message.Stamp{}:
		return 0
	case from.Boot == to.Boot:
		return max(0, to.Since-from.Since)
	case from.Wall != 0 && to.Wall != 0:
		return max(0, time.Duration(to.Wall-from.Wall))
	}
	return 0
}

// Destination data of a message for a session.
const (
	hitQoS    = 0b011
	hitRetain = 0b100
)

// appendHit writes how a message is to be delivered.
func appendHit(b []byte, qos byte, retain bool, ids []uint32) []byte {
	flags := qos
	if retain {
		flags |= hitRetain
	}
	b = append(b, flags)
	for _, id := range ids {
		b = binary.AppendUvarint(b, uint64(id))
	}
	return b
}

// parseHit reads it; ids has room that is used again. What cannot be read is QoS 1.
func parseHit(b []byte, ids []uint32) (qos byte, retain bool, _ []uint32) {
	ids = ids[:0]
	if len(b) == 0 {
		return 1, false, ids
	}
	qos, retain = b[0]&hitQoS, b[0]&hitRetain != 0
	if qos != 2 {
		qos = 1
	}
	for b = b[1:]; len(b) > 0; {
		id, n := binary.Uvarint(b)
		if n <= 0 || id > 1<<28 {
			break
		}
		ids, b = append(ids, uint32(id)), b[n:]
	}
	return qos, retain, ids
}
